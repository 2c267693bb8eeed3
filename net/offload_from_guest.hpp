// SPDX-License-Identifier: BSD-3-Clause
// Guest to host: what a driver's net header asks for becomes receive-side mbuf flags.
#pragma once

#include <cstdint>

#include "net/virtio_net_header.hpp"

struct rte_mbuf;

namespace vhostx::net {

struct PacketHead;

/// What a net header asks for, once it was found to fit its packet.
struct GuestOffload {
  std::uint64_t ol_flags = 0;      ///< RTE_MBUF_F_RX_L4_CKSUM_NONE for NEEDS_CSUM, RTE_MBUF_F_RX_LRO for GSO.
  std::uint32_t packet_type = 0;   ///< RTE_PTYPE_*, 0: not looked at, or not known.
  std::uint16_t tso_segsz = 0;     ///< With RTE_MBUF_F_RX_LRO.
  bool complete_checksum = false;  ///< One that no mbuf flag can describe: complete_guest_checksum() is to be called.
};

/// Checks `header` against the packet's own headers and against what was negotiated (VIRTIO 1.2, 5.1.6.2). `head` is a
/// private copy. False: drop the packet, the header lies.
bool check_guest_offload(const VirtioNetHeader& header, std::uint64_t features, const PacketHead& head,
                         GuestOffload& offload) noexcept;

/// Says in the mbuf's fields what was asked for; its bytes are not touched.
void describe_guest_offload(const GuestOffload& offload, rte_mbuf* packet) noexcept;

/// What the driver left to the device (VIRTIO 1.2, 5.1.6.2.1): the field holds the pseudo header's sum, which the sum
/// takes in with everything else. The bytes of `packet`, all `packet_length` of them, are private.
void complete_guest_checksum(const VirtioNetHeader& header, std::uint32_t packet_length, rte_mbuf* packet) noexcept;

/// Checks `header` against the packet's own headers and against what was negotiated (VIRTIO 1.2, 5.1.6.2), and sets
/// ol_flags, tso_segsz and packet_type as an ethdev virtio driver does: RTE_MBUF_F_RX_L4_CKSUM_NONE for NEEDS_CSUM,
/// RTE_MBUF_F_RX_LRO for GSO. A checksum that no mbuf flag can describe (not TCP or UDP, or inside a tunnel) is
/// completed in the packet at once. False, and nothing changed: drop the packet, the header lies.
///
/// `packet` is whole and the caller's own: a private copy, because a checksum may be written into it.
bool apply_guest_offload(const VirtioNetHeader& header, std::uint64_t features, rte_mbuf* packet) noexcept;

}  // namespace vhostx::net
