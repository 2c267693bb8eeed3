// SPDX-License-Identifier: BSD-3-Clause
// RingCounters: a vring's live counters. One thread writes, any thread may read.
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

  std::uint64_t value(VringCounter id) const noexcept {
    return values_[static_cast<std::size_t>(id)].load(std::memory_order_relaxed);
  }

  VringStats snapshot() const noexcept {
    VringStats stats;
    for (std::size_t i = 0; i < values_.size(); ++i) stats.values[i] = values_[i].load(std::memory_order_relaxed);
    return stats;
  }

 private:
  std::array<std::atomic<std::uint64_t>, vring_counter_count> values_{};
};

}  // namespace vhostx::net
