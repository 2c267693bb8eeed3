// SPDX-License-Identifier: BSD-3-Clause
// The frame that announces a migrated guest to the network.
#pragma once

#include <array>
#include <cstdint>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::net {

inline constexpr std::uint16_t rarp_frame_bytes = 60;  ///< The least Ethernet carries, without FCS.

/// A broadcast RARP request (RFC 903) with `mac` as sender and target, padded, into `rarp_frame_bytes` at `frame`.
void write_rarp(std::uint8_t* frame, const std::array<std::uint8_t, 6>& mac) noexcept;

/// The same in an mbuf. Null if the pool is empty or its mbufs are too small.
rte_mbuf* make_rarp(rte_mempool* pool, const std::array<std::uint8_t, 6>& mac) noexcept;

}  // namespace vhostx::net
