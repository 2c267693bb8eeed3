// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/vring_gate.hpp"

#include <thread>

namespace vhostx::backend {

VringGate::~VringGate() {
  delete running_.load(std::memory_order_relaxed);
  if (is_stuck())
    for (auto& snapshot : kept_) static_cast<void>(snapshot.release());
}

bool VringGate::enter() noexcept {
  const ThreadCheck::Entry entry = threads_.enter();
  if (entry == ThreadCheck::Entry::found && handlers_.misuse) handlers_.misuse();
  return entry == ThreadCheck::Entry::free;
}

// A burst in progress ends within microseconds, unless its thread gets no CPU. Sleeping leaves it the CPU, even if our
// priority is higher. Time is counted in our own sleeps, so that a stop of the whole process does not count.
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
    if (slept == long_wait && handlers_.long_wait) handlers_.long_wait();
    std::this_thread::sleep_for(pause);
  }
  return ended();
}

void VringGate::keep(std::unique_ptr<const RunningVring> before, std::uint32_t turn) noexcept {
  const bool first = !is_stuck();
  stuck_turn_ = turn;
  kept_[first ? 0 : 1] = std::move(before);
}

void VringGate::drain() noexcept {
  swap(nullptr);
  if (heavy_fence_) heavy_fence();
  const std::uint32_t turn = turn_.load(std::memory_order_seq_cst);
  if (turn % 2 == 1 && !is_stuck() && !await_end(turn)) keep(nullptr, turn);
}

bool VringGate::is_stuck() noexcept {
  if (stuck_turn_ == 0) return false;
  if (turn_.load(std::memory_order_acquire) == stuck_turn_) return true;
  stuck_turn_ = 0;
  for (auto& snapshot : kept_) snapshot = nullptr;
  return false;
}

}  // namespace vhostx::backend
