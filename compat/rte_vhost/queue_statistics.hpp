// SPDX-License-Identifier: BSD-3-Clause
// QueueStatistics: rte_vhost's counters of a queue, under its names.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

struct rte_mbuf;

namespace vhostx::compat {

inline constexpr bool has_late_statistics = VHOSTX_DPDK_ABI >= 24;  // DPDK 23.11
inline constexpr std::size_t statistics_count = has_late_statistics ? 21 : 17;

/// In the order in which applications see them. Counters of missing functions (IOTLB, asynchronous copies) stay 0.
extern const std::array<const char*, statistics_count> statistic_names;

/// One thread counts at a time, under the queue's lock; any thread may read.
class QueueStatistics {
 public:
  /// Counts `packets`, less `dropped` of them. Which were dropped is not known; the largest are assumed.
  void count(std::span<rte_mbuf* const> packets, std::uint64_t dropped) noexcept;
  void count_notifications(std::uint64_t count) noexcept;
  /// Counts a notification that guest_notify left to the application. Any thread, without the lock.
  void count_offloaded_notification() noexcept;
  /// Bursts for which the mempool had no mbufs.
  void count_stalls(std::uint64_t count) noexcept;
  void reset() noexcept;
  std::uint64_t value(std::size_t index) const noexcept { return values_[index].load(std::memory_order_relaxed); }

 private:
  void add(std::size_t index, std::uint64_t amount) noexcept;

  std::array<std::atomic<std::uint64_t>, statistics_count> values_{};
};

}  // namespace vhostx::compat
