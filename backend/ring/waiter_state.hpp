// SPDX-License-Identifier: BSD-3-Clause
// Waiter::State: the epoll set behind a Waiter. Vrings share it, so that it outlives whichever ends first.
#pragma once

#include <chrono>
#include <memory>

#include <vhostx/result.hpp>
#include <vhostx/waiter.hpp>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"

namespace vhostx {

/// All functions may be called from any thread, wait() from one at a time.
struct Waiter::State {
  /// Error: system (epoll_create1, eventfd).
  static Result<std::shared_ptr<State>> create();

  /// Watches a kick eventfd for new kicks. It need not be drained. Error: system (epoll_ctl).
  Result<void> add(int fd) noexcept;
  /// Watches any descriptor for as long as there is input. Error: system.
  Result<void> add_level(int fd) noexcept;
  /// Call it before the descriptor is closed: the front-end has another one for the same file, which would keep the
  /// file in the epoll set.
  void remove(int fd) noexcept;
  void wake() noexcept;
  bool wait(std::chrono::milliseconds timeout) noexcept;
  int fd() const noexcept { return epoll_.get(); }

 private:
  Result<void> control(int fd, unsigned events) noexcept;

  UniqueFd epoll_;
  EventFd wake_;
};

}  // namespace vhostx
