// SPDX-License-Identifier: BSD-3-Clause
// One call of the library's fails: a system call (the program is linked with --wrap for each), or an allocation
// (operator new is replaced).
//
// Counted is what the library calls: on each thread but the test's own, and there within an InLibrary.
#pragma once

#include <string>

namespace vhostx::test {

enum class Call {
  allocation,
  aligned_alloc,
  accept4,
  bind,
  connect,
  epoll_create1,
  epoll_ctl,
  epoll_wait,
  eventfd,
  fcntl,
  fstat,
  fstatfs,
  getsockopt,
  listen,
  lstat,
  madvise,
  mbind,
  mincore,
  mmap,
  move_pages,
  poll,
  read,
  readlink,
  recvmsg,
  rte_extmem_register,
  sendmsg,
  socket,
  syscall,
  timerfd_create,
  unlink,
  write,
  count  // how many there are
};

const char* name_of(Call call) noexcept;

struct Injection {
  Call call = Call::count;
  unsigned nth = 0;  ///< From 1.
  int error = 0;

  std::string text() const;
};

/// From now on calls are counted from 0, and this one fails, once.
void arm(const Injection& injection) noexcept;
/// Counts without failing anything.
void count_calls() noexcept;
void disarm() noexcept;
bool has_struck() noexcept;
unsigned calls_seen(Call call) noexcept;
/// Whether this thread's calls are the library's now.
bool is_in_library() noexcept;

/// For what stands in a call's place: counts it, and says whether it is the one to fail; errno is set then.
bool fails(Call call) noexcept;

/// While one lives, this thread's calls are the library's, or (Spared) are not.
class CallsAre {
 public:
  explicit CallsAre(bool of_the_library) noexcept;
  ~CallsAre();
  CallsAre(const CallsAre&) = delete;
  CallsAre& operator=(const CallsAre&) = delete;

 private:
  bool before_;
};
struct InLibrary : CallsAre {
  InLibrary() noexcept : CallsAre(true) {}
};
struct Spared : CallsAre {
  Spared() noexcept : CallsAre(false) {}
};

}  // namespace vhostx::test
