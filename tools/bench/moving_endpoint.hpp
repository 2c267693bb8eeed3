// SPDX-License-Identifier: BSD-3-Clause
// MovingEndpoint: a guest that can be taken away from its traffic and put back, as a virtual machine is stopped.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "tools/bench/vhost_endpoint.hpp"

namespace vhostx::tools::bench {

/// Endpoint's functions belong to the traffic's thread; take_away() and put_back() to the one that moves the guest.
/// While it is away it neither sends nor receives.
class MovingEndpoint final : public Endpoint {
 public:
  explicit MovingEndpoint(std::unique_ptr<VhostEndpoint> guest) noexcept : guest_(std::move(guest)) {}

  /// Waits until the traffic's thread uses it no more: that thread must be at work.
  void take_away() noexcept {
    state_.store(State::called, std::memory_order_relaxed);
    while (state_.load(std::memory_order_acquire) != State::away) std::this_thread::yield();
  }
  void put_back() noexcept { state_.store(State::here, std::memory_order_release); }
  /// While it is away, or there is no traffic.
  VhostEndpoint& guest() noexcept { return *guest_; }

  const std::string& name() const noexcept override { return guest_->name(); }
  unsigned queue_count() const noexcept override { return guest_->queue_count(); }
  std::span<const SendSlot> send_buffers(unsigned queue) const noexcept override { return guest_->send_buffers(queue); }
  // Bursts begin with reserve() and receive(): between two of them it may leave.
  unsigned reserve(unsigned queue, std::span<SendSlot> slots) noexcept override {
    return is_here() ? guest_->reserve(queue, slots) : 0;
  }
  unsigned send(unsigned queue, unsigned count, std::uint32_t frame_bytes) noexcept override {
    return guest_->send(queue, count, frame_bytes);
  }
  std::uint64_t taken(unsigned queue) noexcept override {
    if (is_here()) taken_.at(queue) = guest_->taken(queue);
    return taken_.at(queue);
  }
  unsigned receive(unsigned queue, std::span<ReceivedFrame> frames) noexcept override {
    receiving_ = is_here();
    return receiving_ ? guest_->receive(queue, frames) : 0;
  }
  void release(unsigned queue) noexcept override {
    if (receiving_) guest_->release(queue);
  }
  void notify() noexcept override {
    if (is_here()) guest_->notify();
  }
  bool arm(bool wanted) noexcept override { return is_here() && guest_->arm(wanted); }
  std::uint32_t capacity(std::uint32_t bytes) const noexcept override { return guest_->capacity(bytes); }
  std::vector<int> wait_fds() const override { return guest_->wait_fds(); }
  Result<void> health() override { return guest_->health(); }
  Result<void> can_send(std::uint32_t bytes, bool tso) const override { return guest_->can_send(bytes, tso); }
  Result<void> can_receive(std::uint32_t bytes, bool tso) const override { return guest_->can_receive(bytes, tso); }
  std::string describe() const override { return guest_->describe(); }

 private:
  enum class State { here, called, away };

  bool is_here() noexcept {
    const State state = state_.load(std::memory_order_acquire);
    if (state == State::called) state_.store(State::away, std::memory_order_release);
    return state == State::here;
  }

  std::unique_ptr<VhostEndpoint> guest_;
  std::array<std::uint64_t, 128> taken_{};  ///< By queue, when it was last here.
  bool receiving_ = false;                  ///< Between receive() and release().
  std::atomic<State> state_{State::here};
};

}  // namespace vhostx::tools::bench
