// SPDX-License-Identifier: BSD-3-Clause
#include "base/peer_signals.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <linux/aio_abi.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace vhostx {
namespace {

constexpr unsigned requests = 8;  // at once in a context; the kernel makes it eight for each CPU if that is more

/// The first words of a context's ring of completions, which the kernel maps at the context's address (fs/aio.c).
struct CompletionRing {
  std::uint32_t id;
  std::uint32_t size;
  std::uint32_t head;  // ours
  std::uint32_t tail;  // the kernel's
};

std::array<aio_context_t, 16> contexts{};
std::atomic<unsigned> context_count{0};  // published after the contexts are there: release, acquire

std::mutex preparing;
pid_t prepared_for = 0;  // a child of fork() inherits the numbers but not the contexts

// Marks all completions as read; their content is not needed. Of two threads on one context the later may set the head
// back. The kernel then counts a few as unread for a while, which the ring has room for.
void forget_completions(aio_context_t context) noexcept {
  auto& ring = *reinterpret_cast<CompletionRing*>(context);
  const std::uint32_t tail = std::atomic_ref(ring.tail).load(std::memory_order_relaxed);
  std::atomic_ref(ring.head).store(tail, std::memory_order_relaxed);
}

/// Submits a read of 0 bytes whose completion signals the eventfd. It reads from the eventfd itself, so no other file
/// is needed: a buffer that is too small fails at once (eventfd(2)), before anything could wait.
bool submit(aio_context_t context, int eventfd) noexcept {
  iocb request{};
  request.aio_lio_opcode = IOCB_CMD_PREAD;
  request.aio_fildes = static_cast<std::uint32_t>(eventfd);
  request.aio_flags = IOCB_FLAG_RESFD;
  request.aio_resfd = static_cast<std::uint32_t>(eventfd);
  iocb* const list = &request;
  if (::syscall(SYS_io_submit, context, 1, &list) != 1) return false;
  forget_completions(context);
  return true;
}

// The fallback without AIO, or without memory for a request. A peer can still block it between poll() and write().
void write_unless_full(int eventfd) noexcept {
  pollfd room{eventfd, POLLOUT, 0};
  if (::poll(&room, 1, 0) == 0) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(eventfd, &one, sizeof one);
}

/// Tries an eventfd of our own: before Linux 5.8 an eventfd could not be read this way.
Result<void> try_out(aio_context_t context) noexcept {
  const UniqueFd probe(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!probe) return make_system_error(errno, "eventfd");
  std::uint64_t count = 0;
  if (!submit(context, probe.get()) || ::read(probe.get(), &count, sizeof count) != sizeof count || count != 1)
    return make_system_error(errno, "io_submit: no eventfd was signalled");
  return {};
}

Result<void> make_contexts() noexcept {
  const long cpus = std::clamp(::sysconf(_SC_NPROCESSORS_CONF), 1L, static_cast<long>(contexts.size()));
  unsigned made = 0;
  for (; made < static_cast<unsigned>(cpus); ++made) {
    contexts[made] = 0;
    if (::syscall(SYS_io_setup, requests, &contexts[made]) != 0) break;
  }
  if (made == 0) return make_system_error(errno, "io_setup");
  if (auto good = try_out(contexts[0]); !good) {
    for (unsigned i = 0; i < made; ++i) ::syscall(SYS_io_destroy, contexts[i]);
    return good;
  }
  context_count.store(made, std::memory_order_release);
  return {};
}

}  // namespace

Result<void> prepare_peer_signals() noexcept {
  const std::lock_guard guard(preparing);
  if (context_count.load(std::memory_order_relaxed) != 0 && prepared_for == ::getpid()) return {};
  context_count.store(0, std::memory_order_relaxed);
  prepared_for = ::getpid();
  return make_contexts();
}

void signal_peer(int eventfd) noexcept {
  if (const unsigned count = context_count.load(std::memory_order_acquire); count != 0) {
    const auto cpu = static_cast<unsigned>(::sched_getcpu());
    if (submit(contexts[cpu % count], eventfd)) return;
  }
  write_unless_full(eventfd);
}

}  // namespace vhostx
