// SPDX-License-Identifier: BSD-3-Clause
// Backlog: packets that a full destination ring did not take yet, in order and bounded.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include <rte_mbuf.h>

namespace vhostx::tools {

/// How many mbuf segments all backlogs of one port may hold together, so that a guest that does not take its packets
/// never dries up the pool for others.
struct SegmentBudget {
  std::uint32_t limit = 0;
  std::atomic<std::uint32_t> used{0};

  bool take(std::uint32_t segments) noexcept {
    if (used.fetch_add(segments, std::memory_order_relaxed) + segments <= limit) return true;
    give(segments);
    return false;
  }
  void give(std::uint32_t segments) noexcept { used.fetch_sub(segments, std::memory_order_relaxed); }
};

/// A ring of mbuf pointers, allocated once. One thread at a time.
class Backlog {
 public:
  /// Room for `packets_max` rounded up to a power of two.
  explicit Backlog(std::uint32_t packets_max)
      : capacity_(std::bit_ceil(packets_max)), slots_(new rte_mbuf*[capacity_]) {}

  std::uint32_t size() const noexcept { return tail_ - head_; }
  bool full() const noexcept { return size() == capacity_; }

  /// Not when full().
  void push(rte_mbuf* packet) noexcept { slots_[tail_++ & (capacity_ - 1)] = packet; }

  /// The oldest packets that lie side by side: their address, and through `count` how many, at most `count_max`.
  rte_mbuf** front(std::uint16_t count_max, std::uint16_t& count) const noexcept {
    const auto begin = head_ & (capacity_ - 1);
    const auto run = std::min(size(), capacity_ - begin);
    count = static_cast<std::uint16_t>(std::min<std::uint32_t>(run, count_max));
    return &slots_[begin];
  }
  void pop(std::uint16_t count) noexcept { head_ += count; }

 private:
  std::uint32_t capacity_;
  std::uint32_t head_ = 0;  // both run freely; their difference is the size
  std::uint32_t tail_ = 0;
  std::unique_ptr<rte_mbuf*[]> slots_;
};

}  // namespace vhostx::tools
