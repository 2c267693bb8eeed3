// SPDX-License-Identifier: BSD-3-Clause
// vhostx::to_transmit_offload: receive-side flags of a guest's packet become requests to a NIC.
#include <cstdint>

#include <rte_mbuf.h>

#include <vhostx/offload.hpp>

#include "net/packet_headers.hpp"

namespace vhostx {

namespace {

bool has_partial_checksum(const rte_mbuf& packet) noexcept {
  return (packet.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}

/// Not if the checksum is known to be wrong: the NIC would put a good one on damaged data.
bool is_coalesced(const rte_mbuf& packet) noexcept {
  return (packet.ol_flags & RTE_MBUF_F_RX_LRO) != 0 &&
         (packet.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

std::uint64_t transmit_flags(const net::PacketHeaders& headers, bool segments) noexcept {
  std::uint64_t flags = headers.is_ipv4() ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
  flags |= headers.is_tcp() ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
  if (!segments) return flags;
  // Each segment has an IP header of its own, whose checksum only the NIC can compute.
  if (headers.is_ipv4()) flags |= RTE_MBUF_F_TX_IP_CKSUM;
  return flags | (headers.is_tcp() ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG);
}

}  // namespace

bool to_transmit_offload(rte_mbuf* packet) noexcept {
  const bool partial = has_partial_checksum(*packet);
  const bool coalesced = is_coalesced(*packet);
  if (!partial && !coalesced) return true;

  const net::PacketHead head(packet);
  net::PacketHeaders headers;
  if (!net::parse_packet_headers(head, headers) || !(headers.is_tcp() || headers.is_udp())) return false;
  // NICs would sum the next hop of an IPv6 routing header instead of the destination (RFC 8200, 8.1).
  if (headers.is_routed || (coalesced && packet->tso_segsz == 0)) return false;

  // No segmentation for a single segment: several NICs refuse a packet that is no larger than a segment.
  const bool segments = coalesced && head.packet_length - headers.payload_offset() > packet->tso_segsz;
  packet->ol_flags &= ~RTE_MBUF_F_RX_LRO;
  if (!partial && !segments) return true;
  packet->l2_len = headers.l2_len & 0x7fU;
  packet->l3_len = headers.l3_len & 0x1ffU;
  packet->l4_len = headers.l4_len & 0xffU;
  packet->ol_flags &= ~RTE_MBUF_F_RX_L4_CKSUM_MASK;
  packet->ol_flags |= transmit_flags(headers, segments);
  return true;
}

}  // namespace vhostx
