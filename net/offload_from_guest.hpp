// SPDX-License-Identifier: BSD-3-Clause
// Guest to host: what a driver's net header asks for becomes receive-side mbuf flags.
#pragma once

#include <cstdint>

#include "net/virtio_net_header.hpp"

struct rte_mbuf;

namespace vhostx::net {

struct HeaderBytes;

enum class GuestOffload : std::uint8_t {
  refused,        ///< The header lies: drop the packet.
  described,      ///< The mbuf's fields say what was asked for, if anything was.
  checksum_open,  ///< No mbuf flag can say it: the checksum must be written into a packet that may be written.
};

/// The part of apply_guest_offload() that only looks: at `head`, a private copy of the packet's first bytes. Sets
/// fields of `packet`, whose bytes it does not touch.
GuestOffload describe_guest_offload(const VirtioNetHeader& header, std::uint64_t features, const HeaderBytes& head,
                                    rte_mbuf* packet) noexcept;

/// Checks `header` against the packet's own headers and against what was negotiated (VIRTIO 1.2, 5.1.6.2), and sets
/// ol_flags, tso_segsz and packet_type as an ethdev virtio driver does: RTE_MBUF_F_RX_L4_CKSUM_NONE for NEEDS_CSUM,
/// RTE_MBUF_F_RX_LRO for GSO. A checksum that no mbuf flag can describe (not TCP or UDP, or inside a tunnel) is
/// completed in the packet at once. False, and nothing changed: drop the packet, the header lies.
///
/// `packet` is whole and the caller's own: a private copy, because a checksum may be written into it.
bool apply_guest_offload(const VirtioNetHeader& header, std::uint64_t features, rte_mbuf* packet) noexcept;

}  // namespace vhostx::net
