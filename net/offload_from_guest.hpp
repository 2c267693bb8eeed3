// SPDX-License-Identifier: BSD-3-Clause
// Guest to host: what a driver's net header asks for becomes receive-side mbuf flags.
#pragma once

#include <cstdint>

#include "net/virtio_net_header.hpp"

struct rte_mbuf;

namespace vhostx::net {

struct PacketHead;

/// What a net header asks for, after it was checked against its packet.
struct GuestOffload {
  std::uint64_t ol_flags = 0;      ///< RTE_MBUF_F_RX_L4_CKSUM_NONE for NEEDS_CSUM, RTE_MBUF_F_RX_LRO for GSO.
  std::uint32_t packet_type = 0;   ///< RTE_PTYPE_*, 0: not looked at, or not known.
  std::uint16_t tso_segsz = 0;     ///< With RTE_MBUF_F_RX_LRO.
  bool complete_checksum = false;  ///< One that no mbuf flag can describe: complete_guest_checksum() is to be called.
};

/// Checks `header` against the packet's own headers and against what was negotiated (VIRTIO 1.2, 5.1.6.2). `head` is a
/// private copy. False: the header is invalid, drop the packet.
bool check_guest_offload(const VirtioNetHeader& header, std::uint64_t features, const PacketHead& head,
                         GuestOffload& offload) noexcept;

/// Sets the mbuf's fields to what was asked for. Its bytes are not touched.
void describe_guest_offload(const GuestOffload& offload, rte_mbuf* packet) noexcept;

/// Completes the checksum that the driver left to the device (VIRTIO 1.2, 5.1.6.2.1). The field holds the pseudo
/// header's sum, which is summed with everything else. All `packet_length` bytes of `packet` must be private.
void complete_guest_checksum(const VirtioNetHeader& header, std::uint32_t packet_length, rte_mbuf* packet) noexcept;

/// Checks `header` against the packet's own headers and against what was negotiated (VIRTIO 1.2, 5.1.6.2), and sets
/// ol_flags, tso_segsz and packet_type as an ethdev virtio driver does: RTE_MBUF_F_RX_L4_CKSUM_NONE for NEEDS_CSUM,
/// RTE_MBUF_F_RX_LRO for GSO. A checksum that no mbuf flag can describe (not TCP or UDP, or inside a tunnel) is
/// completed in the packet at once. False, and nothing changed: the header is invalid, drop the packet.
///
/// `packet` is a complete private copy, because a checksum may be written into it.
bool apply_guest_offload(const VirtioNetHeader& header, std::uint64_t features, rte_mbuf* packet) noexcept;

}  // namespace vhostx::net
