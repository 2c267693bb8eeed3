// SPDX-License-Identifier: BSD-3-Clause
// What an emulator of a processor (qemu-user) does not let a program ask of the kernel. Tests that need it are skipped
// there; a kernel that has it and refuses still fails them.
#pragma once

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

namespace vhostx::test {

inline constexpr const char* no_seccomp = "no seccomp filter can be set, as under qemu-user";
inline constexpr const char* no_userfaultfd = "there is no userfaultfd, as under qemu-user";
inline constexpr const char* no_second_mapping = "mremap makes no second mapping, as under qemu-user";
inline constexpr const char* no_population = "MADV_POPULATE_READ does nothing, as under qemu-user";
inline constexpr const char* no_io_setup = "there is no io_setup, as under qemu-user";
inline constexpr const char* no_preadv2 = "there is no preadv2, as under qemu-user";
inline constexpr const char* no_dontfork = "MADV_DONTFORK does nothing, as under qemu-user";
inline constexpr const char* no_address_limit = "RLIMIT_AS is not kept, as under qemu-user";
inline constexpr const char* no_terabytes = "what is mapped costs memory, as under qemu-user";

inline bool has_seccomp() { return ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0; }

/// Terabytes that are only mapped cost nothing. qemu-user keeps a note of each page, and trying that would take all
/// memory.
inline bool has_terabytes() { return has_seccomp(); }

inline bool has_userfaultfd() {
  const long fd = ::syscall(SYS_userfaultfd, O_CLOEXEC);
  if (fd < 0) return errno != ENOSYS;
  ::close(static_cast<int>(fd));
  return true;
}

/// Asynchronous input and output of the kernel.
inline bool has_io_setup() { return ::syscall(SYS_io_setup, 0, nullptr) >= 0 || errno != ENOSYS; }

inline bool has_preadv2() {
  iovec nothing{};
  return ::preadv2(-1, &nothing, 1, -1, RWF_NOWAIT) >= 0 || errno == EBADF;
}

/// A shared mapping's second one of the same pages: mremap of 0 bytes.
inline bool has_second_mappings() {
  constexpr std::size_t page = 65536;  // a multiple of any machine's
  void* const first = ::mmap(nullptr, page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (first == MAP_FAILED) return true;
  void* const second = ::mremap(first, 0, page, MREMAP_MAYMOVE);
  if (second != MAP_FAILED) ::munmap(second, page);
  ::munmap(first, page);
  return second != MAP_FAILED;
}

/// qemu-user 7.2 takes each advice that it does not know, and does nothing.
inline bool has_population() {
#ifdef MADV_POPULATE_READ
  constexpr std::size_t page = 65536;
  void* const pages = ::mmap(nullptr, page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return true;
  unsigned char is_there[page / 4096] = {};
  const bool refused = ::madvise(pages, page, MADV_POPULATE_READ) != 0 || ::mincore(pages, page, is_there) != 0;
  ::munmap(pages, page);
  return refused || (is_there[0] & 1) != 0;
#else
  return true;
#endif
}

inline bool has_dontfork() { return has_population(); }

inline bool has_address_limit() {
  rlimit before{};
  rlimit after{};
  ::getrlimit(RLIMIT_AS, &before);
  const rlimit large{static_cast<rlim_t>(1) << 60, before.rlim_max};
  if (::setrlimit(RLIMIT_AS, &large) != 0) return true;
  ::getrlimit(RLIMIT_AS, &after);
  ::setrlimit(RLIMIT_AS, &before);
  return after.rlim_cur == large.rlim_cur;
}

/// What the kernel says of this process's memory is the program's own: an emulator's is with it.
inline bool has_memory_of_its_own() { return has_seccomp(); }

}  // namespace vhostx::test
