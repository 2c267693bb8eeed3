// SPDX-License-Identifier: BSD-3-Clause
// RingCounters: a vring's live counters. One thread writes, any thread may read and reset.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <vhostx/vring_stats.hpp>

namespace vhostx::net {

class RingCounters {
 public:
  /// Plain load, add, store: the data thread is the only writer, so no locked instruction is needed.
  void add(VringCounter id, std::uint64_t amount) noexcept {
    auto& value = values_[static_cast<std::size_t>(id)];
    value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  /// Since the beginning, whatever was reset.
  std::uint64_t value(VringCounter id) const noexcept { return value_at(static_cast<std::size_t>(id)); }

  /// Since the last reset.
  std::uint64_t shown(VringCounter id) const noexcept { return shown_at(static_cast<std::size_t>(id)); }
  VringStats snapshot() const noexcept {
    VringStats stats;
    for (std::size_t i = 0; i < values_.size(); ++i) stats.values[i] = shown_at(i);
    return stats;
  }

  /// The data thread goes on counting: what it has reached is remembered. Any thread.
  void reset() noexcept {
    for (std::size_t i = 0; i < values_.size(); ++i) base_[i].store(value_at(i), std::memory_order_release);
  }

 private:
  std::uint64_t value_at(std::size_t i) const noexcept { return values_[i].load(std::memory_order_relaxed); }
  // The base first. The acquire pairs with reset()'s release: a reader sees the count that the base was taken from, or
  // a later one, and the difference is never negative.
  std::uint64_t shown_at(std::size_t i) const noexcept {
    const std::uint64_t base = base_[i].load(std::memory_order_acquire);
    return value_at(i) - base;
  }

  std::array<std::atomic<std::uint64_t>, vring_counter_count> values_{};
  std::array<std::atomic<std::uint64_t>, vring_counter_count> base_{};  // no data thread touches it
};

}  // namespace vhostx::net
