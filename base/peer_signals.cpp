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
pid_t prepared_for = 0;  // a child has inherited the numbers, and not the contexts

// Completions say nothing that is of interest. Two threads on one context may both do this, and the later may set back
// what the earlier has set: the kernel then believes for a while that a few are unread, of the many that have room.
void forget_completions(aio_context_t context) noexcept {
  auto& ring = *reinterpret_cast<CompletionRing*>(context);
  const std::uint32_t tail = std::atomic_ref(ring.tail).load(std::memory_order_relaxed);
  std::atomic_ref(ring.head).store(tail, std::memory_order_relaxed);
}

/// The kernel is asked to read nothing, and to tell the eventfd when that is done. It is read from the eventfd itself,
/// which spares us a file: too small a buffer ends as an error at once (eventfd(2)), before anything could wait.
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

// What is left where there is no AIO, or no memory for a request: a peer must be quick to get in between.
void write_unless_full(int eventfd) noexcept {
  pollfd room{eventfd, POLLOUT, 0};
  if (::poll(&room, 1, 0) == 0) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(eventfd, &one, sizeof one);
}

/// An eventfd of our own takes a signal: before Linux 5.8 none could be read so.
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
