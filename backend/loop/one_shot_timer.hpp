// SPDX-License-Identifier: BSD-3-Clause
// OneShotTimer: makes one call later, and none after its owner is gone.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <asio/any_io_executor.hpp>

namespace vhostx::backend {

/// Control thread.
class OneShotTimer {
 public:
  explicit OneShotTimer(asio::any_io_executor executor);
  ~OneShotTimer();
  OneShotTimer(const OneShotTimer&) = delete;
  OneShotTimer& operator=(const OneShotTimer&) = delete;

  /// Calls `on_expiry`, which may destroy the timer, after `delay`. Cancels an earlier start().
  /// Allocates nothing, unless `on_expiry` needs memory or it is started repeatedly in one turn of the loop.
  void start(std::chrono::milliseconds delay, std::function<void()> on_expiry);
  void cancel() noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vhostx::backend
