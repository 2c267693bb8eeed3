// SPDX-License-Identifier: BSD-3-Clause
// OneShotTimer: a call later, that never comes when its owner is gone.
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

  /// Calls `on_expiry`, which may destroy the timer, after `delay`; what was started before is cancelled.
  /// Takes no memory, if `on_expiry` takes none and it is not started again and again in one turn of the loop.
  void start(std::chrono::milliseconds delay, std::function<void()> on_expiry);
  void cancel() noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vhostx::backend
