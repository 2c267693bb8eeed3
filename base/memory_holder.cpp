// SPDX-License-Identifier: BSD-3-Clause
#include "base/memory_holder.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <iterator>
#include <poll.h>
#include <sched.h>
#include <unistd.h>
#include <utility>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/error.hpp"
#include "base/page_memory.hpp"
#include "base/signals_blocked.hpp"

#if defined(__has_cpp_attribute) && __has_cpp_attribute(clang::disable_sanitizer_instrumentation)
#define VHOSTX_NOT_INSTRUMENTED [[clang::disable_sanitizer_instrumentation]]
#else
#define VHOSTX_NOT_INSTRUMENTED
#endif

// ThreadSanitizer has a clone() of its own, for processes that do not share memory.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VHOSTX_NO_SHARED_CLONE
#endif
#endif

namespace vhostx {
namespace {

constexpr std::size_t holder_stack_bytes = 16'384;
constexpr int ready_within_ms = 5'000;  // usually 0.1
#if defined(__x86_64__)
constexpr std::uint32_t audit_arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t audit_arch = AUDIT_ARCH_AARCH64;
#endif

// Who is able to write to this process's memory is able to change what the holder executes, and a process may give up
// rights that its holder has still: so it may wait and end, and nothing else.
sock_filter may_wait[]{
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit_arch, 0, 6),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ppoll, 5, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 4, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
constexpr sock_fprog may_wait_only{std::size(may_wait), may_wait};

/// What the holder watches.
struct Starter {
  pid_t pid;
  int end;  ///< Of a pipe whose other end its program has: that is closed when it executes another one.
  bool is_held = false;
};

/// Descriptors 0 and 1 tell of the starter's end, no others are left. The last step tells start() that all is done.
VHOSTX_NOT_INSTRUMENTED bool prepare(Starter& starter) {
  constexpr int beyond = 2;
  const long process = ::syscall(SYS_pidfd_open, starter.pid, 0);
  if (process < 0 || ::syscall(SYS_getppid) != starter.pid) return false;  // before Linux 5.3, or it was killed
  const long process_aside = ::syscall(SYS_fcntl, process, F_DUPFD, beyond);
  const long end_aside = ::syscall(SYS_fcntl, starter.end, F_DUPFD, beyond);
  ::syscall(SYS_prctl, PR_SET_NAME, "vhostx-memory", 0, 0, 0);
  starter.is_held = ::syscall(SYS_dup3, process_aside, 0, O_CLOEXEC) == 0 &&
                    ::syscall(SYS_dup3, end_aside, 1, O_CLOEXEC) == 1 &&
                    ::syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                    ::syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &may_wait_only, 0, 0) == 0;
  if (!starter.is_held) return false;
  if (::syscall(SYS_close_range, beyond, ~0U, 0) == 0) return true;
  return starter.is_held = false;  // before Linux 5.9
}

/// The holder. It has the thread-local memory of the thread that has started it, too, so that it makes system calls
/// only, and none that fails once that thread goes on: errno is there. Signals stay blocked.
VHOSTX_NOT_INSTRUMENTED int hold(void* starter) {
  if (!prepare(*static_cast<Starter*>(starter))) return 1;
  pollfd ends[]{{0, POLLIN, 0}, {1, POLLIN, 0}};
  while (::syscall(SYS_ppoll, ends, std::size(ends), nullptr, nullptr, 0) < 1) {
  }
  return static_cast<int>(::syscall(SYS_exit_group, 0));  // a return might look at the starter's thread-local memory
}

/// [0] is for reading.
using Pipe = std::array<UniqueFd, 2>;

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return make_system_error(errno, "pipe2");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Its other end is closed by the holder; a process that was forked meanwhile may have it, too.
bool is_closed(const UniqueFd& pipe) {
  pollfd end{pipe.get(), POLLIN, 0};
  int got = 0;
  do got = ::poll(&end, 1, ready_within_ms);
  while (got < 0 && errno == EINTR);
  return got == 1;
}

}  // namespace

Result<MemoryHolder> MemoryHolder::start() {
#ifdef VHOSTX_NO_SHARED_CLONE
  return make_error(ErrorCode::unsupported, "built with ThreadSanitizer");
#endif
  auto prepared = make_pipe();
  auto program = make_pipe();
  if (!prepared || !program) return prepared ? program.error() : prepared.error();
  MemoryHolder holder;
  holder.stack_ = map_pages(holder_stack_bytes);
  if (holder.stack_ == nullptr) return make_error(ErrorCode::out_of_memory, "{} bytes for a stack", holder_stack_bytes);
  Starter starter{.pid = ::getpid(), .end = (*program)[0].get()};
  int process = -1;
  const SignalsBlocked inherited;
  // Without a signal at its end: an application that waits for its own children does not meet it.
  const int pid = ::clone(hold, static_cast<std::byte*>(holder.stack_) + holder_stack_bytes, CLONE_VM | CLONE_PIDFD,
                          &starter, &process);
  if (pid < 0) return make_system_error(errno, "clone");
  holder.pid_ = pid;
  holder.process_.reset(process);
  holder.program_ = std::move((*program)[1]);
  (*prepared)[1].reset();
  if (!is_closed((*prepared)[0])) {
    holder = {};  // `starter` must not end before it
    return make_error(ErrorCode::unsupported, "it was not ready within {} ms", ready_within_ms);
  }
  if (!starter.is_held) return make_error(ErrorCode::unsupported, "pidfd_open or seccomp is refused to it");
  return holder;
}

MemoryHolder::MemoryHolder(MemoryHolder&& other) noexcept { *this = std::move(other); }

MemoryHolder& MemoryHolder::operator=(MemoryHolder&& other) noexcept {
  std::swap(stack_, other.stack_);
  std::swap(pid_, other.pid_);
  std::swap(process_, other.process_);
  std::swap(program_, other.program_);
  return *this;
}

MemoryHolder::~MemoryHolder() {
  if (process_) {
    ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
    siginfo_t end;
    while (::waitid(P_PIDFD, static_cast<id_t>(process_.get()), &end, WEXITED | __WALL) < 0 && errno == EINTR) {
    }
  }
  if (stack_ != nullptr) unmap_pages(stack_, holder_stack_bytes);
}

}  // namespace vhostx
