// SPDX-License-Identifier: BSD-3-Clause
// Host to guest: an mbuf's offload flags become a net header, or are completed in software for a guest that did not
// negotiate them.
#pragma once

#include <cstdint>
#include <cstring>

#include <rte_mbuf_core.h>

#include "net/packet_view.hpp"

namespace vhostx::net {

enum class OffloadVerdict : std::uint8_t {
  ready,              ///< The view is the packet to deliver.
  ready_checksummed,  ///< The same, and a checksum was completed in software (VringCounter::checksummed).
  segment,            ///< Deliver what Segmenter makes of the view (VringCounter::segmented).
  bad_offload,        ///< The request contradicts the packet: drop it (VringCounter::drop_bad_offload).
};

/// Transmit flags that the net header has to express or this library has to carry out.
inline constexpr std::uint64_t transmit_requests = RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM |
                                                   RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG |
                                                   RTE_MBUF_F_TX_OUTER_IP_CKSUM | RTE_MBUF_F_TX_OUTER_UDP_CKSUM;

/// Whether a packet must go through prepare_for_guest(): it has transmit requests, or receive flags with an unfinished
/// checksum or segmentation. All others are delivered with plain_header().
inline bool needs_offload(const rte_mbuf& packet) noexcept {
  const std::uint64_t flags = packet.ol_flags;
  return (flags & (transmit_requests | RTE_MBUF_F_RX_LRO)) != 0 ||
         (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}

/// The same in one test for the straight path: also true for packets whose checksum a NIC found bad.
inline bool may_need_offload(std::uint64_t flags) noexcept {
  static_assert((RTE_MBUF_F_RX_L4_CKSUM_NONE & RTE_MBUF_F_RX_L4_CKSUM_BAD) != 0);
  return (flags & (transmit_requests | RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_BAD)) != 0;
}

/// The header of a packet without offload: all zero, or DATA_VALID if a NIC has checked it and the driver accepts that
/// flag (VIRTIO 1.2, 5.1.6.4.1).
inline VirtioNetHeader plain_header(const rte_mbuf& packet, std::uint64_t features) noexcept {
  VirtioNetHeader header;
  if ((features & feature_guest_csum) != 0 &&
      (packet.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
    header.flags = header_data_valid;
  return header;
}

/// The bit of ol_flags that write_plain_header() turns into DATA_VALID for a driver with these features, or 0.
constexpr std::uint64_t data_valid_mask(std::uint64_t features) noexcept {
  return (features & feature_guest_csum) != 0 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0;
}

/// Writes the plain_header() of a packet that does not need offload into a buffer of the guest. num_buffers is 1, also
/// without MRG_RXBUF (VIRTIO 1.2, 5.1.6.4.1).
template <std::uint16_t net_header_bytes>
void write_plain_header(std::uint8_t* buffer, std::uint64_t flags, std::uint64_t valid_mask) noexcept {
  const std::uint64_t first = (flags & valid_mask) / RTE_MBUF_F_RX_L4_CKSUM_GOOD * header_data_valid;
  constexpr std::uint32_t last = std::uint32_t{1} << 16;  // csum_offset, num_buffers
  std::memcpy(buffer, &first, sizeof first);
  std::memcpy(buffer + sizeof first, &last, net_header_bytes - sizeof first);
}

/// The view of a packet without offload.
inline void plain_view(const rte_mbuf& packet, std::uint64_t features, PacketView& view) noexcept {
  view.header = plain_header(packet, features);
  view.prefix_length = 0;
  view.network_offset = 0;
  view.offset = 0;
  view.length = packet.pkt_len;
  view.mbuf = &packet;
}

/// Fills `view` for any packet, with or without offload. Takes transmit flags (with l2_len, l3_len and l4_len, which
/// are checked against the packet) or, if there are none, the receive flags that apply_guest_offload() and NICs set.
/// The packet is not changed: it may be shared, or be sent to other ports next.
OffloadVerdict prepare_for_guest(const rte_mbuf* packet, std::uint64_t features, PacketView& view) noexcept;

}  // namespace vhostx::net
