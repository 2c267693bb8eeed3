// SPDX-License-Identifier: BSD-3-Clause
// Gives a burst of mbufs back, fast where they are what the switch's own pool hands out.
#pragma once

#include <array>
#include <cstdint>

#include <rte_mbuf.h>
#include <rte_mempool.h>

namespace vhostx::tools {

inline constexpr std::uint16_t burst_max = 32;

/// One plain segment, no other holder: it may go straight back to its pool.
inline bool is_plain(const rte_mbuf* packet) noexcept {
  return packet->nb_segs == 1 && rte_mbuf_refcnt_read(packet) == 1 && RTE_MBUF_DIRECT(packet);
}

/// `count` at most burst_max. The common burst costs one copy of pointers into the lcore's cache.
inline void release_burst(rte_mbuf* const* packets, std::uint16_t count) noexcept {
  if (count == 0) return;
  std::array<void*, burst_max> plain;
  unsigned plain_count = 0;
  rte_mempool* const pool = packets[0]->pool;
  for (std::uint16_t i = 0; i < count; ++i) {
    if (is_plain(packets[i]) && packets[i]->pool == pool) [[likely]]
      plain[plain_count++] = packets[i];
    else
      rte_pktmbuf_free(packets[i]);
  }
  if (plain_count != 0) rte_mempool_put_bulk(pool, plain.data(), plain_count);
}

}  // namespace vhostx::tools
