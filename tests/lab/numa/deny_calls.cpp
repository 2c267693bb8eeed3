// SPDX-License-Identifier: BSD-3-Clause
// deny-calls PROGRAM [ARGUMENTS...]: runs a program to which the kernel answers get_mempolicy, mbind and move_pages
// with EPERM, as a container's default seccomp profile does. Exit status 125: the filter could not be installed; 127:
// the program could not be started.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace {

constexpr std::uint32_t offset_of_number = offsetof(seccomp_data, nr);
constexpr std::uint32_t offset_of_architecture = offsetof(seccomp_data, arch);

sock_filter load(std::uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); }
sock_filter answer(std::uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
/// Skips `then` instructions where what was loaded equals `value`, else `otherwise`.
sock_filter if_equal(std::uint32_t value, std::uint8_t then, std::uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise);
}

bool deny() {
  std::array filter{
      load(offset_of_architecture),
      if_equal(AUDIT_ARCH_X86_64, 0, 4),  // numbers of another architecture name other
                                          // calls
      load(offset_of_number),
      if_equal(__NR_get_mempolicy, 3, 0),
      if_equal(__NR_mbind, 2, 0),
      if_equal(__NR_move_pages, 1, 0),
      answer(SECCOMP_RET_ALLOW),
      answer(SECCOMP_RET_ERRNO | EPERM),
  };
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: deny-calls PROGRAM [ARGUMENTS...]\n");
    return 125;
  }
  if (!deny()) {
    std::fprintf(stderr, "deny-calls: installing the filter: %s\n", std::strerror(errno));
    return 125;
  }
  ::execvp(argv[1], argv + 1);
  std::fprintf(stderr, "deny-calls: %s: %s\n", argv[1], std::strerror(errno));
  return 127;
}
