// SPDX-License-Identifier: BSD-3-Clause
// Signals that take too long. A signal wakes everything that waits for the eventfd: a peer that puts its eventfd into a
// hundred thousand epoll sets makes each signal take 10 to 100 ms. After a slow signal, a thread of the port makes its
// signals, so that neither a data thread nor the control thread waits again.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx {

class EventFd;
class SlowSignals;

/// An eventfd of a peer, and an entry in the list of signals to be made.
struct PeerEvent : std::enable_shared_from_this<PeerEvent> {
  PeerEvent(UniqueFd descriptor, std::shared_ptr<SlowSignals> of) noexcept
      : fd(std::move(descriptor)), signals(std::move(of)) {}

  const UniqueFd fd;
  const std::shared_ptr<SlowSignals> signals;

 private:
  friend class SlowSignals;
  std::atomic<bool> waits{false};   // in the list: a further signal adds nothing
  std::shared_ptr<PeerEvent> self;  // while it waits; the thread that put it there owns these two
  PeerEvent* next = nullptr;
};

/// Of one port. Normally the caller makes a signal itself. After one that took longer than about 100 us, the processor
/// time of the next is measured. If that is more than 200 us, a thread makes the port's signals for 1000 times as long
/// as that signal took; each further slow signal extends this. The thread makes one signal at a time, and signals to an
/// eventfd that waits already are merged. After a signal of more than 200 us of processor time the thread rests 100
/// times as long, at most 5 s. It ends when it has had nothing to do for a second.
class SlowSignals : public std::enable_shared_from_this<SlowSignals> {
 public:
  /// `attention` is signalled when serve() should be called.
  explicit SlowSignals(std::shared_ptr<const EventFd> attention) noexcept;
  SlowSignals(const SlowSignals&) = delete;
  SlowSignals& operator=(const SlowSignals&) = delete;

  /// As signal_peer(), or puts the event into the list: no lock, no allocation, at most one system call. Any thread.
  void signal(PeerEvent& event) noexcept;

  // ---- control thread ----
  /// Starts the thread if one is needed. Error: system (it cannot be started); the waiting signals were made here.
  Result<void> serve() noexcept;
  /// For a warning: microseconds of processor time that a signal of the thread took, once each time that signals become
  /// slow; else 0.
  std::uint64_t take_report() noexcept { return report_us_.exchange(0, std::memory_order_relaxed); }
  /// No more signals are made; waiting ones are dropped. The thread ends; this does not wait for it.
  void close() noexcept;

  // ---- any thread ----
  /// Whether the thread makes signals now.
  bool uses_thread() const noexcept;
  /// How many signals the thread has made.
  std::uint64_t made_by_thread() const noexcept { return made_by_thread_.load(std::memory_order_relaxed); }

 private:
  void change_until(std::uint64_t before, std::uint64_t after) noexcept;
  void use_thread_for(std::uint64_t ticks_long) noexcept;
  void put(PeerEvent& event) noexcept;
  PeerEvent* take_all() noexcept;
  template <typename Use>
  static void take_each(PeerEvent* list, Use use);
  void run() noexcept;
  bool make_all() noexcept;
  void make(const PeerEvent& event) noexcept;
  bool sleep_or_end() noexcept;

  const std::shared_ptr<const EventFd> attention_;
  std::atomic<std::uint64_t> thread_until_{0};  // ticks; read for each signal; relaxed: a stale value costs one signal
  alignas(64) std::atomic<PeerEvent*> list_;    // newest first; ends with nullptr, or no_thread
  std::atomic<bool> thread_wanted_{false};      // a signal has found no_thread in list_
  std::atomic<std::uint32_t> wakes_{0};         // futex of a thread with nothing to do
  std::atomic<std::uint32_t> closed_{0};        // futex of a thread that rests
  std::atomic<std::uint64_t> made_by_thread_{0};
  std::atomic<std::uint64_t> report_us_{0};
  std::uint64_t reported_until_ = 0;  // ticks; the thread's
};

}  // namespace vhostx
