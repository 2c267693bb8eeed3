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
constexpr std::uint32_t ip_length_max = 0xffff;

/// Whether the checksum asked for is the packet's own TCP or UDP one, so that an mbuf flag says the same. Not behind a
/// routing header: whoever takes that flag up would sum the wrong destination (RFC 8200, 8.1).
bool is_own_l4_checksum(const VirtioNetHeader& header, const PacketHeaders& headers) noexcept {
  if (headers.is_routed || header.csum_start != headers.l4_offset()) return false;
  return (headers.is_tcp() && header.csum_offset == tcp_checksum_at) ||
         (headers.is_udp() && header.csum_offset == udp_checksum_at);
}

/// Whether such segmentation was negotiated and is of this packet's kind (VIRTIO 1.2, 5.1.6.2).
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

/// What the driver left to the device (VIRTIO 1.2, 5.1.6.2.1): the field holds the pseudo header's sum, which the sum
/// takes in with everything else.
void complete_checksum(const VirtioNetHeader& header, std::uint32_t packet_length, rte_mbuf* packet) noexcept {
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

}  // namespace

GuestOffload describe_guest_offload(const VirtioNetHeader& header, std::uint64_t features, const HeaderBytes& head,
                                    rte_mbuf* packet) noexcept {
  // Other flags are none of a driver's business and ignored (VIRTIO 1.2, 5.1.6.2.2); segmentation needs the checksum.
  if ((header.flags & header_needs_csum) == 0)
    return header.gso_type == gso_none ? GuestOffload::described : GuestOffload::refused;
  if ((features & feature_csum) == 0) return GuestOffload::refused;
  if (std::uint32_t{header.csum_start} + header.csum_offset + sizeof(std::uint16_t) > head.packet_length)
    return GuestOffload::refused;

  PacketHeaders headers;
  const bool parsed = parse_packet_headers(head, headers);
  const bool own = parsed && is_own_l4_checksum(header, headers);
  const bool gso = header.gso_type != gso_none;
  if (gso && !(own && gso_fits(header, features, headers, head.packet_length))) return GuestOffload::refused;

  if (parsed) packet->packet_type = headers.packet_type;
  if (!own) return GuestOffload::checksum_open;
  packet->ol_flags = (packet->ol_flags & ~RTE_MBUF_F_RX_L4_CKSUM_MASK) | RTE_MBUF_F_RX_L4_CKSUM_NONE;
  if (gso) {
    packet->ol_flags |= RTE_MBUF_F_RX_LRO;
    packet->tso_segsz = header.gso_size;
  }
  return GuestOffload::described;
}

bool apply_guest_offload(const VirtioNetHeader& header, std::uint64_t features, rte_mbuf* packet) noexcept {
  if ((header.flags & header_needs_csum) == 0) return header.gso_type == gso_none;  // no look at the packet
  const HeaderBytes head(packet);
  const GuestOffload offload = describe_guest_offload(header, features, head, packet);
  if (offload == GuestOffload::checksum_open) complete_checksum(header, head.packet_length, packet);
  return offload != GuestOffload::refused;
}

}  // namespace vhostx::net
