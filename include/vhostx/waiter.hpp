// SPDX-License-Identifier: BSD-3-Clause
// Waiter: lets a polling thread sleep until one of its vrings is kicked.
#pragma once

#include <chrono>
#include <memory>

#include <vhostx/export.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring.hpp>

namespace vhostx {

/// Sleeps until one of its vrings is kicked; one per worker thread. The library adds and removes the kick eventfds of
/// the watched vrings as their rings start and stop.
///
///     for (auto* vring : mine) waiter.watch(*vring);
///     // when there was no work for a while:
///     bool work = false;
///     for (auto* vring : mine) work |= vring->set_notifications(true);
///     if (!work) waiter.wait(1s);
///     for (auto* vring : mine) vring->set_notifications(false);
class VHOSTX_EXPORT Waiter {
 public:
  /// Creates a Waiter. Errors: system (epoll or eventfd could not be created), out_of_memory. Any thread.
  static Result<std::unique_ptr<Waiter>> create() noexcept;
  /// No thread may be in wait(). Watched vrings need not be unwatched first. Any thread.
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Watches a vring, now and after each restart, until unwatch() or the end of the Port. A vring has at most one
  /// Waiter; a second one replaces the first. The kicks of a driver that polls cannot be watched, because it provides
  /// no eventfd. Error: system (the kick cannot be watched). Takes a lock: not for the data path. Any thread.
  Result<void> watch(Vring& vring) noexcept;
  /// Stops watching a vring; no effect on a vring that this Waiter does not watch. Any thread.
  void unwatch(Vring& vring) noexcept;

  /// Watches any other descriptor (a TAP, a timer) for input, until it is closed. The caller owns it. Error: system.
  /// Any thread.
  Result<void> watch_fd(int fd) noexcept;
  /// Stops watching a descriptor that stays open, for example one that failed and would wake the Waiter for ever
  /// (EPOLLERR). No effect on a descriptor that it does not watch. Any thread.
  void unwatch_fd(int fd) noexcept;

  /// Sleeps until a kick, input on a watched descriptor, wake(), or the start of a watched vring, for `timeout` at
  /// most. Returns false if the timeout passed. 0 or less does not sleep. One thread at a time.
  bool wait(std::chrono::milliseconds timeout) noexcept;

  /// Ends the wait() in progress, or else the next one. Any thread.
  void wake() noexcept;

  /// The epoll descriptor, for the application's own event loop: readable when wait() would return at once. The Waiter
  /// owns it. Any thread.
  int fd() const noexcept;

  struct VHOSTX_HIDDEN State;  ///< Internal.

 private:
  VHOSTX_HIDDEN explicit Waiter(std::shared_ptr<State> state) noexcept;
  std::shared_ptr<State> state_;
};

}  // namespace vhostx
