// SPDX-License-Identifier: BSD-3-Clause
// BacklogOwner: the worker that brings a transmit queue's backlog to the guest, and how others wake it for that.
#pragma once

#include <atomic>
#include <cstdint>

#include <vhostx/waiter.hpp>

namespace vhostx::tools {

/// One per worker.
class alignas(64) BacklogOwner {
 public:
  /// `waiter` may be null for an owner that never sleeps.
  explicit BacklogOwner(Waiter* waiter) noexcept : waiter_(waiter) {}

  /// A queue of this owner has a backlog now. Any worker. The order of the two accesses pairs with that of
  /// fall_asleep(): either this sees the owner asleep, or the owner sees the backlog.
  void backlog_began() noexcept {
    backlogs_.fetch_add(1, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst) && waiter_ != nullptr) waiter_->wake();
  }
  void backlog_ended() noexcept { backlogs_.fetch_sub(1, std::memory_order_relaxed); }

  /// Owner only: how many of its queues have a backlog.
  std::uint32_t backlogs() const noexcept { return backlogs_.load(std::memory_order_relaxed); }

  /// Owner only. Returns what backlogs() is after others were told to wake it.
  std::uint32_t fall_asleep() noexcept {
    asleep_.store(true, std::memory_order_seq_cst);
    return backlogs_.load(std::memory_order_seq_cst);
  }
  void wake_up() noexcept { asleep_.store(false, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> backlogs_{0};
  std::atomic<bool> asleep_{false};
  Waiter* waiter_;
};

}  // namespace vhostx::tools
