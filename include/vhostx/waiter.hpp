// SPDX-License-Identifier: BSD-3-Clause
// Waiter: lets a polling thread sleep until one of its vrings is kicked.
#pragma once

#include <chrono>
#include <memory>

#include <vhostx/export.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring.hpp>

namespace vhostx {

/// One per worker thread. The library adds and removes the kick eventfds of the watched vrings as rings start and stop.
///
///     for (auto* vring : mine) waiter.watch(*vring);
///     ...nothing came for a while...
///     bool work = false;
///     for (auto* vring : mine) work |= vring->set_notifications(true);
///     if (!work) waiter.wait(1s);
///     for (auto* vring : mine) vring->set_notifications(false);
class VHOSTX_EXPORT Waiter {
 public:
  /// Errors: system (epoll or eventfd could not be made).
  static Result<std::unique_ptr<Waiter>> create() noexcept;
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Watches a vring, now and after each restart, until unwatch() or the Port's end. A vring has at most one Waiter; a
  /// second one takes its place. A driver that polls gives no eventfd: its ring neither wakes nor ends a wait. Any
  /// thread. Errors: system (the kick cannot be watched).
  Result<void> watch(Vring& vring) noexcept;
  /// The opposite; nothing happens to a vring that it does not watch. Any thread.
  void unwatch(Vring& vring) noexcept;

  /// Watches any other descriptor (a TAP, a timer) for input, until it is closed.
  Result<void> watch_fd(int fd) noexcept;
  /// The opposite, for a descriptor that is at an end (EPOLLERR would wake for ever) and stays open; nothing happens to
  /// one that it does not watch. Any thread.
  void unwatch_fd(int fd) noexcept;

  /// Sleeps until a kick, input on a watched descriptor, wake(), a vring starting, or the time is over. True: something
  /// came. One thread at a time.
  bool wait(std::chrono::milliseconds timeout) noexcept;

  /// Ends a wait that is under way, or the next one. Any thread.
  void wake() noexcept;

  /// The epoll descriptor, for an event loop of the application's own: readable when wait() would return at once.
  int fd() const noexcept;

  struct VHOSTX_HIDDEN State;  ///< The library's.

 private:
  VHOSTX_HIDDEN explicit Waiter(std::shared_ptr<State> state) noexcept;
  std::shared_ptr<State> state_;
};

}  // namespace vhostx
