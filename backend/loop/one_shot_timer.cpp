// SPDX-License-Identifier: BSD-3-Clause
#include "backend/loop/one_shot_timer.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

#include <asio/steady_timer.hpp>

#include "protocol/handler_memory.hpp"

namespace vhostx::backend {

struct OneShotTimer::State {
  explicit State(asio::any_io_executor executor) : timer(std::move(executor)) {}

  asio::steady_timer timer;
  // A wait that was cancelled too late finds another round. The owner may be destroyed on another thread.
  std::atomic<std::uint64_t> round{0};
  protocol::HandlerMemory<2> memory;  // a wait, and the cancelled one before it whose handler has not run yet
};

OneShotTimer::OneShotTimer(asio::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

OneShotTimer::~OneShotTimer() { cancel(); }

void OneShotTimer::start(std::chrono::milliseconds delay, std::function<void()> on_expiry) {
  cancel();
  state_->timer.expires_after(delay);
  auto on_end = [state = state_, round = state_->round.load(),
                 callback = std::move(on_expiry)](const asio::error_code& error) {
    if (!error && round == state->round) callback();
  };
  state_->timer.async_wait(protocol::kept_in(state_->memory, std::move(on_end)));
}

void OneShotTimer::cancel() noexcept {
  ++state_->round;
  try {
    state_->timer.cancel();
  } catch (...) {  // the new round already makes the old wait void
  }
}

}  // namespace vhostx::backend
