// SPDX-License-Identifier: BSD-3-Clause
#include "backend/vring_gate.hpp"

#include <thread>
#include <utility>

namespace vhostx::backend {

VringGate::~VringGate() {
  delete running_.load(std::memory_order_relaxed);
  if (is_stuck())
    for (auto& snapshot : kept_) static_cast<void>(snapshot.release());
}

// A burst in progress ends within microseconds, unless its thread gets no CPU: then we stand back, also where we have a
// higher priority. Time is counted in our own sleeps: a process that was stopped as a whole has not kept us waiting.
bool VringGate::await_end(std::uint32_t turn) noexcept {
  constexpr int yields = 1000;
  constexpr std::chrono::microseconds pause{100};
  const auto ended = [this, turn] { return turn_.load(std::memory_order_acquire) != turn; };
  if (stuck_turn_ == turn) return ended();
  for (int i = 0; i < yields; ++i) {
    if (ended()) return true;
    std::this_thread::yield();
  }
  for (auto slept = std::chrono::microseconds(0); slept < patience_; slept += pause) {
    if (ended()) return true;
    std::this_thread::sleep_for(pause);
  }
  return ended();
}

void VringGate::keep(std::unique_ptr<const RunningVring> before, std::uint32_t turn) noexcept {
  const bool first = !is_stuck();
  stuck_turn_ = turn;
  kept_[first ? 0 : 1] = std::move(before);
}

bool VringGate::is_stuck() noexcept {
  if (stuck_turn_ == 0) return false;
  if (turn_.load(std::memory_order_acquire) == stuck_turn_) return true;
  stuck_turn_ = 0;
  for (auto& snapshot : kept_) snapshot = nullptr;
  return false;
}

}  // namespace vhostx::backend
