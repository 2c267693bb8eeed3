// SPDX-License-Identifier: BSD-3-Clause
// Net headers of a driver, checked and turned into receive-side flags.
#include "net/offload_from_guest.hpp"

#include <rte_mbuf.h>

#include "net/checksum.hpp"
#include "net/mbuf_pieces.hpp"
#include "net/packet_headers.hpp"
#include "net/segmenter.hpp"
#include "net/wire.hpp"

namespace vhostx::net {

namespace {

constexpr std::uint16_t tcp_checksum_at = 16;
constexpr std::uint16_t udp_checksum_at = 6;

/// Whether the requested checksum is the packet's own TCP or UDP checksum, so that an mbuf flag can describe it. Not
/// after a routing header: a NIC would sum the wrong destination (RFC 8200, 8.1).
bool is_own_l4_checksum(const VirtioNetHeader& header, const PacketHeaders& headers) noexcept {
  if (headers.is_routed || header.csum_start != headers.l4_offset()) return false;
  return (headers.is_tcp() && header.csum_offset == tcp_checksum_at) ||
         (headers.is_udp() && header.csum_offset == udp_checksum_at);
}

/// Whether this segmentation was negotiated and fits the packet's protocol (VIRTIO 1.2, 5.1.6.2).
bool gso_type_fits(std::uint8_t gso_type, std::uint64_t features, const PacketHeaders& headers) noexcept {
  const bool ecn = (gso_type & gso_ecn) != 0;
  if (ecn && (features & feature_host_ecn) == 0) return false;
  switch (gso_type & ~gso_ecn) {
    case gso_tcpv4:
      return (features & feature_host_tso4) != 0 && headers.is_ipv4() && headers.is_tcp();
    case gso_tcpv6:
      return (features & feature_host_tso6) != 0 && headers.is_ipv6() && headers.is_tcp();
    case gso_udp_l4:
      return !ecn && (features & feature_host_uso) != 0 && headers.l3_len != 0 && headers.is_udp();
    default:
      return false;
  }
}

bool gso_fits(const VirtioNetHeader& header, std::uint64_t features, const PacketHeaders& headers,
              std::uint32_t packet_length) noexcept {
  if (header.gso_size == 0 || !gso_type_fits(header.gso_type, features, headers)) return false;
  return packet_length - headers.l2_len <= ip_length_max &&
         segment_count(packet_length - headers.payload_offset(), header.gso_size) <= segments_max;
}

}  // namespace

bool check_guest_offload(const VirtioNetHeader& header, std::uint64_t features, const PacketHead& head,
                         GuestOffload& offload) noexcept {
  offload = {};
  // Other flags of a driver are ignored (VIRTIO 1.2, 5.1.6.2.2). Segmentation needs the checksum.
  if ((header.flags & header_needs_csum) == 0) return header.gso_type == gso_none;
  if ((features & feature_csum) == 0) return false;
  if (std::uint32_t{header.csum_start} + header.csum_offset + sizeof(std::uint16_t) > head.packet_length) return false;

  PacketHeaders headers;
  const bool parsed = parse_packet_headers(head, headers);
  const bool own = parsed && is_own_l4_checksum(header, headers);
  const bool gso = header.gso_type != gso_none;
  if (gso && !(own && gso_fits(header, features, headers, head.packet_length))) return false;

  if (parsed) offload.packet_type = headers.packet_type;
  offload.complete_checksum = !own;
  if (own) offload.ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
  if (gso) {
    offload.ol_flags |= RTE_MBUF_F_RX_LRO;
    offload.tso_segsz = header.gso_size;
  }
  return true;
}

void complete_guest_checksum(const VirtioNetHeader& header, std::uint32_t packet_length, rte_mbuf* packet) noexcept {
  OnesSum sum;
  sum.add(packet, header.csum_start, packet_length - header.csum_start);
  std::uint8_t field[2];
  store_raw16(field, sum.checksum());
  const std::uint8_t* next = field;
  for_each_piece(packet, std::uint32_t{header.csum_start} + header.csum_offset, sizeof(field),
                 [&next](std::uint8_t* bytes, std::uint32_t count) {
                   for (std::uint32_t i = 0; i < count; ++i) bytes[i] = *next++;
                 });
}

void describe_guest_offload(const GuestOffload& offload, rte_mbuf* packet) noexcept {
  if (offload.packet_type != 0) packet->packet_type = offload.packet_type;
  if (offload.ol_flags == 0) return;
  packet->ol_flags = (packet->ol_flags & ~RTE_MBUF_F_RX_L4_CKSUM_MASK) | offload.ol_flags;
  if (offload.tso_segsz != 0) packet->tso_segsz = offload.tso_segsz;
}

bool apply_guest_offload(const VirtioNetHeader& header, std::uint64_t features, rte_mbuf* packet) noexcept {
  const PacketHead head(packet);
  GuestOffload offload;
  if (!check_guest_offload(header, features, head, offload)) return false;
  describe_guest_offload(offload, packet);
  if (offload.complete_checksum) complete_guest_checksum(header, head.packet_length, packet);
  return true;
}

}  // namespace vhostx::net
