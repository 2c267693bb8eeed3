// SPDX-License-Identifier: BSD-3-Clause
#include "tests/backend/forbid_membarrier.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/support/emulated_kernel.hpp"

namespace vhostx::test {
namespace {

// Before main(): no gate has asked for the call yet, no thread has been started.
const bool forbidden = [] {
  if (!runs_without_membarrier()) return false;
  if (!has_seccomp()) {
    std::printf("skipped: %s\n", no_seccomp);
    std::exit(77);
  }
  forbid_membarrier();
  return true;
}();

}  // namespace

void forbid_membarrier() {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0)
    return;
  std::perror("seccomp");
  std::abort();
}

bool runs_without_membarrier() { return std::getenv("VHOSTX_TEST_NO_MEMBARRIER") != nullptr; }

}  // namespace vhostx::test
