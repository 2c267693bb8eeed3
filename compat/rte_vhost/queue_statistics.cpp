// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/queue_statistics.hpp"

#include <algorithm>
#include <bit>

#include <rte_ether.h>
#include <rte_mbuf.h>

namespace vhostx::compat {
namespace {

// Indices in statistic_names.
constexpr std::size_t packets_at = 0;
constexpr std::size_t bytes_at = 1;
constexpr std::size_t multicast_at = 2;
constexpr std::size_t broadcast_at = 3;
constexpr std::size_t sizes_at = 4;
constexpr std::size_t notifications_at = 12;
constexpr std::size_t offloaded_at = 13;  // of these two, where there are late ones
constexpr std::size_t alloc_failed_at = statistics_count - 1;
constexpr std::size_t sizes = notifications_at - sizes_at;

// Below 64, 64, to 127, to 255, to 511, to 1023, to 1518, larger.
std::size_t size_class(std::uint32_t length) noexcept {
  if (length < 64) return 0;
  if (length == 64) return 1;
  if (length > 1518) return 7;
  return length >= 1024 ? 6 : static_cast<std::size_t>(std::bit_width(length)) - 5;
}

struct Sums {
  std::uint64_t bytes = 0;
  std::uint64_t multicast = 0;
  std::uint64_t broadcast = 0;
  std::array<std::uint64_t, sizes> by_size{};
  std::array<std::uint64_t, sizes> bytes_by_size{};

  void add(const rte_mbuf& packet) noexcept {
    const std::size_t size = size_class(packet.pkt_len);
    bytes += packet.pkt_len;
    ++by_size[size];
    bytes_by_size[size] += packet.pkt_len;
    const auto* destination = rte_pktmbuf_mtod(&packet, const rte_ether_addr*);
    if (packet.data_len < sizeof *destination || !rte_is_multicast_ether_addr(destination)) return;
    ++(rte_is_broadcast_ether_addr(destination) ? broadcast : multicast);
  }

  // Subtracts that many again, the largest first, each with the mean length of its class.
  void remove(std::uint64_t dropped) noexcept {
    for (std::size_t size = sizes; size-- != 0 && dropped != 0;) {
      const std::uint64_t count = std::min(dropped, by_size[size]);
      if (count == 0) continue;
      bytes -= bytes_by_size[size] * count / by_size[size];
      by_size[size] -= count;
      dropped -= count;
    }
  }
};

}  // namespace

const std::array<const char*, statistics_count> statistic_names {
  "good_packets", "good_bytes", "multicast_packets", "broadcast_packets", "undersize_packets", "size_64_packets",
      "size_65_127_packets", "size_128_255_packets", "size_256_511_packets", "size_512_1023_packets",
      "size_1024_1518_packets", "size_1519_max_packets", "guest_notifications",
#if VHOSTX_DPDK_ABI >= 24
      "guest_notifications_offloaded", "guest_notifications_error", "guest_notifications_suppressed",
#endif
      "iotlb_hits", "iotlb_misses", "inflight_submitted", "inflight_completed",
#if VHOSTX_DPDK_ABI >= 24
      "mbuf_alloc_failed",
#endif
};

void QueueStatistics::count(std::span<rte_mbuf* const> packets, std::uint64_t dropped) noexcept {
  Sums sums;
  for (const rte_mbuf* packet : packets) sums.add(*packet);
  if (dropped != 0) [[unlikely]]
    sums.remove(dropped);
  add(packets_at, packets.size() - std::min<std::uint64_t>(dropped, packets.size()));
  add(bytes_at, sums.bytes);
  if (sums.multicast != 0) add(multicast_at, sums.multicast);
  if (sums.broadcast != 0) add(broadcast_at, sums.broadcast);
  for (std::size_t size = 0; size < sizes; ++size)
    if (sums.by_size[size] != 0) add(sizes_at + size, sums.by_size[size]);
}

void QueueStatistics::count_notifications(std::uint64_t count) noexcept { add(notifications_at, count); }

void QueueStatistics::count_offloaded_notification() noexcept {
  if (has_late_statistics) values_[offloaded_at].fetch_add(1, std::memory_order_relaxed);
}

void QueueStatistics::count_stalls(std::uint64_t count) noexcept {
  if (has_late_statistics && count != 0) add(alloc_failed_at, count);
}

void QueueStatistics::reset() noexcept {
  for (auto& value : values_) value.store(0, std::memory_order_relaxed);
}

// The only writer: no locked instruction is needed.
void QueueStatistics::add(std::size_t index, std::uint64_t amount) noexcept {
  auto& value = values_[index];
  value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

}  // namespace vhostx::compat
