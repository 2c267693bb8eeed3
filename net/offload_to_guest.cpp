// SPDX-License-Identifier: BSD-3-Clause
// Offload requests of an mbuf: read and checked first, then edited into a private copy of the headers.
#include "net/offload_to_guest.hpp"

#include <cstring>

#include <rte_mbuf.h>

#include "net/checksum.hpp"
#include "net/ip_sums.hpp"
#include "net/packet_headers.hpp"
#include "net/segmenter.hpp"
#include "net/wire.hpp"

namespace vhostx::net {

namespace {

constexpr std::uint16_t sctp_header_length = 12;
constexpr std::uint16_t sctp_checksum_at = 8;
constexpr std::uint8_t tcp_flag_cwr = 0x80;

/// What an mbuf asks for, by transmit or receive flags.
struct Request {
  bool ip_checksum = false;
  bool l4_checksum = false;
  bool sctp_checksum = false;
  /// rte_ipv4_phdr_cksum() and rte_ipv6_phdr_cksum() leave the length out of the sum when TCP_SEG is set.
  bool field_lacks_length = false;
  std::uint16_t segment_size = 0;  ///< 0: no segmentation.
};

// ---- reading the request

/// Offset of the IP header that TX_IPV4 and TX_IPV6 refer to: in a tunnel the inner one.
std::uint32_t network_offset(const rte_mbuf& packet) noexcept {
  const bool tunnel = (packet.ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK) != 0;
  const std::uint64_t outer = tunnel ? packet.outer_l2_len + packet.outer_l3_len : 0;
  return static_cast<std::uint32_t>(outer + packet.l2_len);
}

/// Whether the flags are consistent. Outer checksums and segmentation inside a tunnel are refused: a net header cannot
/// express them (VIRTIO 1.2 has no such GSO type), and a vhost port does not offer them.
bool flags_agree(std::uint64_t flags) noexcept {
  const bool tcp_segments = (flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
  const bool udp_segments = (flags & RTE_MBUF_F_TX_UDP_SEG) != 0;
  const std::uint64_t l4 = flags & RTE_MBUF_F_TX_L4_MASK;
  if ((flags & (RTE_MBUF_F_TX_OUTER_IP_CKSUM | RTE_MBUF_F_TX_OUTER_UDP_CKSUM)) != 0) return false;
  if ((tcp_segments || udp_segments) && (flags & RTE_MBUF_F_TX_TUNNEL_MASK) != 0) return false;
  if (tcp_segments && udp_segments) return false;
  if (tcp_segments && l4 != 0 && l4 != RTE_MBUF_F_TX_TCP_CKSUM) return false;
  if (udp_segments && l4 != 0 && l4 != RTE_MBUF_F_TX_UDP_CKSUM) return false;
  const bool ipv4 = (flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM)) != 0;
  return ipv4 != ((flags & RTE_MBUF_F_TX_IPV6) != 0);
}

bool l4_agrees(const rte_mbuf& packet, const PacketHead& head, const PacketHeaders& headers) noexcept {
  const bool tcp_segments = (packet.ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
  const bool udp_segments = (packet.ol_flags & RTE_MBUF_F_TX_UDP_SEG) != 0;
  const std::uint64_t l4 = packet.ol_flags & RTE_MBUF_F_TX_L4_MASK;
  if ((tcp_segments || udp_segments) && (packet.l4_len != headers.l4_len || packet.tso_segsz == 0)) return false;
  if (tcp_segments || l4 == RTE_MBUF_F_TX_TCP_CKSUM) return headers.is_tcp();
  if (udp_segments || l4 == RTE_MBUF_F_TX_UDP_CKSUM) return headers.is_udp();
  // SCTP
  return headers.l4_protocol == protocol_sctp && !headers.is_fragment && headers.l4_total >= sctp_header_length &&
         headers.l4_offset() + sctp_header_length <= head.length;
}

/// For the IP header's checksum alone: what follows that header is not parsed and may be anything.
bool read_ip_header_only(const rte_mbuf& packet, const PacketHead& head, PacketHeaders& headers) noexcept {
  const std::uint32_t at = network_offset(packet);
  if (at + packet.l3_len > head.length || packet.l3_len < 20) return false;
  const std::uint8_t version_and_length = head.bytes[at];
  if ((version_and_length >> 4) != 4 || (version_and_length & 0x0fU) * 4U != packet.l3_len) return false;
  headers.l2_len = static_cast<std::uint16_t>(at);
  headers.l3_len = static_cast<std::uint16_t>(packet.l3_len);
  headers.ether_type = ether_type_ipv4;
  return true;
}

/// Transmit flags and lengths, accepted only if they agree with the packet.
bool read_transmit_request(const rte_mbuf& packet, const PacketHead& head, PacketHeaders& headers,
                           Request& request) noexcept {
  const std::uint64_t flags = packet.ol_flags;
  if (!flags_agree(flags)) return false;
  request.ip_checksum = (flags & RTE_MBUF_F_TX_IP_CKSUM) != 0;
  constexpr std::uint64_t l4_flags = RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG;
  if ((flags & l4_flags) == 0) return read_ip_header_only(packet, head, headers);

  const std::uint32_t at = network_offset(packet);
  const std::uint16_t type = (flags & RTE_MBUF_F_TX_IPV6) != 0 ? ether_type_ipv6 : ether_type_ipv4;
  if (at > head.length || !parse_network_headers(head, static_cast<std::uint16_t>(at), type, headers)) return false;
  if (headers.l3_len != packet.l3_len || !l4_agrees(packet, head, headers)) return false;
  request.sctp_checksum = (flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_SCTP_CKSUM;
  request.l4_checksum = !request.sctp_checksum;
  request.field_lacks_length = (flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
  if ((flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) != 0) request.segment_size = packet.tso_segsz;
  return true;
}

/// Receive flags. If they do not fit the packet, the request stays empty: the packet is delivered as it was received.
void read_receive_request(const rte_mbuf& packet, const PacketHead& head, PacketHeaders& headers,
                          Request& request) noexcept {
  if (!parse_packet_headers(head, headers) || !(headers.is_tcp() || headers.is_udp())) return;
  const std::uint64_t checksum = packet.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
  // A new checksum would hide damaged data. After a routing header it would need a destination that is not parsed here.
  if (checksum == RTE_MBUF_F_RX_L4_CKSUM_BAD || headers.is_routed) return;
  request.l4_checksum = checksum == RTE_MBUF_F_RX_L4_CKSUM_NONE;
  if ((packet.ol_flags & RTE_MBUF_F_RX_LRO) != 0) request.segment_size = packet.tso_segsz;
}

// ---- editing the headers

void copy_headers(const rte_mbuf* packet, const PacketHead& head, std::uint16_t length, PacketView& view) noexcept {
  std::memcpy(view.prefix, head.bytes, length);
  view.prefix_length = length;
  view.mbuf = packet;
  view.offset = length;
  view.length = head.packet_length - length;
}

void write_ip_checksum(PacketView& view, const PacketHeaders& headers) noexcept {
  write_ipv4_checksum(view.prefix + headers.l2_len);
}

/// Sets the IP length, and UDP's, to the packet's own. Applications and guests may leave them unset when they ask for
/// segmentation, but a receiving guest trims the packet to them.
void write_lengths(PacketView& view, const PacketHeaders& headers, std::uint32_t l4_total) noexcept {
  std::uint8_t* ip = view.prefix + headers.l2_len;
  if (headers.is_ipv4())
    store_be16(ip + 2, headers.l3_len + l4_total);
  else
    store_be16(ip + 4, headers.l3_len - 40U + l4_total);
  if (headers.is_udp()) store_be16(view.prefix + headers.l4_offset() + 4, l4_total);
}

/// The sum that the guest, or this library, continues with: that of the whole pseudo header (VIRTIO 1.2, 5.1.6.4.1).
void write_pseudo_sum(PacketView& view, const PacketHeaders& headers, const Request& request,
                      std::uint32_t l4_total) noexcept {
  std::uint8_t* field = view.prefix + view.header.csum_start + view.header.csum_offset;
  if (!headers.is_routed) {
    store_raw16(field, pseudo_header_sum(view.prefix + headers.l2_len, headers.l4_protocol, l4_total));
  } else if (request.field_lacks_length) {
    // Only the application knows the final destination, so its sum is kept and the length added.
    store_raw16(field, sum_with_length(load_raw16(field), l4_total));
  }
}

void complete_l4_checksum(PacketView& view, const PacketHeaders& headers) noexcept {
  const std::uint16_t start = headers.l4_offset();
  OnesSum sum;
  sum.add(view.prefix + start, headers.l4_len);
  sum.add(view.mbuf, view.offset, headers.l4_total - headers.l4_len);
  store_raw16(view.prefix + start + view.header.csum_offset, sum.checksum());
  view.header = VirtioNetHeader{};
}

void complete_sctp_checksum(PacketView& view, const PacketHeaders& headers) noexcept {
  std::uint8_t* sctp = view.prefix + headers.l4_offset();
  std::memset(sctp + sctp_checksum_at, 0, sizeof(std::uint32_t));
  std::uint32_t crc = crc32c(crc32c_start, sctp, sctp_header_length);
  crc = ~crc32c(crc, view.mbuf, view.offset, headers.l4_total - sctp_header_length);
  std::memcpy(sctp + sctp_checksum_at, &crc, sizeof(crc));  // least significant byte first (RFC 9260, appendix A)
}

// ---- segmentation

std::uint8_t gso_type_of(const PacketView& view, const PacketHeaders& headers) noexcept {
  if (headers.is_udp()) return gso_udp_l4;
  const bool cwr = (view.prefix[headers.l4_offset() + 13] & tcp_flag_cwr) != 0;
  return static_cast<std::uint8_t>((headers.is_ipv4() ? gso_tcpv4 : gso_tcpv6) | (cwr ? gso_ecn : 0));
}

bool guest_takes(std::uint8_t gso_type, bool ipv4, std::uint64_t features) noexcept {
  // Each of the segmentation features requires GUEST_CSUM (VIRTIO 1.2, 5.1.3.1); a driver may break that rule.
  std::uint64_t wanted = feature_guest_csum;
  if ((gso_type & gso_ecn) != 0) wanted |= feature_guest_ecn;
  if (gso_type == gso_udp_l4)
    wanted |= ipv4 ? feature_guest_uso4 : feature_guest_uso6;
  else
    wanted |= ipv4 ? feature_guest_tso4 : feature_guest_tso6;
  return (features & wanted) == wanted;
}

OffloadVerdict prepare_large(const PacketHeaders& headers, const Request& request, std::uint64_t features,
                             PacketView& view) noexcept {
  const std::uint32_t l4_total = view.packet_length() - headers.l4_offset();
  if (headers.l3_len + l4_total > ip_length_max || segment_count(view.length, request.segment_size) > segments_max)
    return OffloadVerdict::bad_offload;
  write_lengths(view, headers, l4_total);
  if (headers.is_ipv4()) write_ip_checksum(view, headers);
  write_pseudo_sum(view, headers, request, l4_total);
  view.header.flags = header_needs_csum;
  view.header.gso_type = gso_type_of(view, headers);
  view.header.gso_size = request.segment_size;
  view.header.hdr_len = headers.payload_offset();
  return guest_takes(view.header.gso_type, headers.is_ipv4(), features) ? OffloadVerdict::ready
                                                                        : OffloadVerdict::segment;
}

OffloadVerdict prepare_checksum(const PacketHeaders& headers, const Request& request, std::uint64_t features,
                                PacketView& view) noexcept {
  if (request.segment_size != 0) write_lengths(view, headers, headers.l4_total);
  if (request.ip_checksum) write_ip_checksum(view, headers);
  write_pseudo_sum(view, headers, request, headers.l4_total);
  if ((features & feature_guest_csum) != 0) {
    view.header.flags = header_needs_csum;
    return OffloadVerdict::ready;
  }
  complete_l4_checksum(view, headers);
  return OffloadVerdict::ready_checksummed;
}

OffloadVerdict prepare_tcp_or_udp(const rte_mbuf* packet, const PacketHead& head, const PacketHeaders& headers,
                                  const Request& request, std::uint64_t features, PacketView& view) noexcept {
  copy_headers(packet, head, headers.payload_offset(), view);
  view.network_offset = headers.l2_len;
  view.header = VirtioNetHeader{};
  view.header.csum_start = headers.l4_offset();
  view.header.csum_offset = headers.is_tcp() ? 16 : 6;
  if (request.segment_size != 0 && view.length > request.segment_size)
    return prepare_large(headers, request, features, view);
  if (request.l4_checksum) return prepare_checksum(headers, request, features, view);
  plain_view(*packet, features, view);  // coalesced on receive, checksum good, and one segment only
  return OffloadVerdict::ready;
}

}  // namespace

OffloadVerdict prepare_for_guest(const rte_mbuf* packet, std::uint64_t features, PacketView& view) noexcept {
  plain_view(*packet, features, view);
  if (!needs_offload(*packet)) return OffloadVerdict::ready;

  const PacketHead head(packet);
  PacketHeaders headers;
  Request request;
  if ((packet->ol_flags & transmit_requests) == 0)
    read_receive_request(*packet, head, headers, request);
  else if (!read_transmit_request(*packet, head, headers, request))
    return OffloadVerdict::bad_offload;

  if (request.l4_checksum || request.segment_size != 0)
    return prepare_tcp_or_udp(packet, head, headers, request, features, view);
  if (request.sctp_checksum) {
    copy_headers(packet, head, static_cast<std::uint16_t>(headers.l4_offset() + sctp_header_length), view);
    if (request.ip_checksum) write_ip_checksum(view, headers);
    complete_sctp_checksum(view, headers);
    return OffloadVerdict::ready_checksummed;
  }
  if (request.ip_checksum) {
    copy_headers(packet, head, headers.l4_offset(), view);
    write_ip_checksum(view, headers);
  }
  return OffloadVerdict::ready;
}

}  // namespace vhostx::net
