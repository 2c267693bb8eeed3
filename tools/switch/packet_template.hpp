// SPDX-License-Identifier: BSD-3-Clause
// The packets of --mode txonly, and bytes as an mbuf chain.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tools/switch/mbuf_release.hpp"

namespace vhostx::tools {

/// A whole Ethernet/IPv4/UDP frame of `size` bytes (60 to 65535) with both checksums right. `flow` is in the UDP source
/// port. Addresses: 02:00:00:00:00:01 to 02:00:00:00:00:02, 198.18.0.1 to 198.18.0.2 (RFC 2544's), port 9 (discard).
std::vector<std::byte> udp_frame(std::uint16_t size, std::uint16_t flow);

/// The bytes as an mbuf chain from `pool`, or null when the pool has too few.
rte_mbuf* mbuf_from_bytes(rte_mempool* pool, std::span<const std::byte> bytes) noexcept;

/// A burst of frames, each of a flow of its own. All null when the pool has too few mbufs.
std::array<rte_mbuf*, burst_max> udp_burst(rte_mempool* pool, std::uint16_t size);

}  // namespace vhostx::tools
