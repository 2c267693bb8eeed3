// SPDX-License-Identifier: BSD-3-Clause
// The header parser. Every offset is compared with what was copied before it is used.
#include "net/packet_headers.hpp"

#include <cstring>

#include <rte_mbuf_ptype.h>

#include "memory/load_hook.hpp"
#include "net/mbuf_pieces.hpp"
#include "net/wire.hpp"

namespace vhostx::net {

namespace {

constexpr std::uint16_t ether_header_length = 14;
constexpr std::uint16_t vlan_tag_length = 4;
constexpr int vlan_tags_max = 2;
constexpr std::uint16_t ipv4_length_min = 20;
constexpr std::uint16_t ipv6_length = 40;
constexpr int ipv6_extensions_max = 8;
constexpr std::uint16_t ipv6_extension_length_min = 8;
constexpr std::uint16_t tcp_length_min = 20;
constexpr std::uint16_t udp_length = 8;

// IPv6 extension headers (RFC 8200, 4), with those of RFC 6275, 7401 and 5533. The authentication header is left out:
// it protects what follows, so nothing after it may be edited.
constexpr std::uint8_t hop_by_hop = 0;
constexpr std::uint8_t routing = 43;
constexpr std::uint8_t fragment = 44;
constexpr std::uint8_t destination_options = 60;
constexpr std::uint8_t mobility = 135;
constexpr std::uint8_t host_identity = 139;
constexpr std::uint8_t shim6 = 140;

constexpr bool is_vlan(std::uint16_t ether_type) noexcept { return ether_type == 0x8100 || ether_type == 0x88a8; }

constexpr bool is_extension(std::uint8_t protocol) noexcept {
  return protocol == hop_by_hop || protocol == routing || protocol == fragment || protocol == destination_options ||
         protocol == mobility || protocol == host_identity || protocol == shim6;
}

constexpr std::uint32_t l2_packet_type(int tags) noexcept {
  if (tags == 0) return RTE_PTYPE_L2_ETHER;
  return tags == 1 ? RTE_PTYPE_L2_ETHER_VLAN : RTE_PTYPE_L2_ETHER_QINQ;
}

constexpr bool fits(const PacketHead& head, std::uint32_t offset, std::uint32_t length) noexcept {
  return offset <= head.length && length <= head.length - offset;
}

/// The IP payload that the packet really has, given what the header declares. 0 means "all" (see l4_total).
bool bound_payload(std::uint32_t declared, std::uint32_t present, std::uint32_t& payload) noexcept {
  if (declared > present) return false;
  payload = declared == 0 ? present : declared;
  return true;
}

bool parse_ipv4(const PacketHead& head, PacketHeaders& headers) noexcept {
  if (!fits(head, headers.l2_len, ipv4_length_min)) return false;
  const std::uint8_t* ip = head.bytes + headers.l2_len;
  const auto length = static_cast<std::uint16_t>((ip[0] & 0x0fU) * 4);
  if ((ip[0] >> 4) != 4 || length < ipv4_length_min || !fits(head, headers.l2_len, length)) return false;
  std::uint32_t total = 0;
  if (!bound_payload(load_be16(ip + 2), head.packet_length - headers.l2_len, total) || total < length) return false;

  headers.l3_len = length;
  headers.l4_total = total - length;
  headers.l4_protocol = ip[9];
  headers.is_fragment = (load_be16(ip + 6) & 0x3fffU) != 0;
  headers.packet_type |= length == ipv4_length_min ? RTE_PTYPE_L3_IPV4 : RTE_PTYPE_L3_IPV4_EXT;
  return true;
}

/// Parses one more extension header; moves l3_len, l4_total and l4_protocol past it.
bool skip_extension(const PacketHead& head, PacketHeaders& headers) noexcept {
  if (!fits(head, headers.l4_offset(), ipv6_extension_length_min)) return false;
  const std::uint8_t* extension = head.bytes + headers.l4_offset();
  const bool is_fragment_header = headers.l4_protocol == fragment;
  const auto length = static_cast<std::uint16_t>(is_fragment_header ? 8 : (extension[1] + 1) * 8);
  if (length > headers.l4_total || !fits(head, headers.l4_offset(), length)) return false;

  // Offset 0 without more fragments is a whole packet (RFC 6946).
  if (is_fragment_header) headers.is_fragment = (load_be16(extension + 2) & 0xfff9U) != 0;
  if (headers.l4_protocol == routing && extension[3] != 0) headers.is_routed = true;
  headers.l4_protocol = extension[0];
  headers.l3_len = static_cast<std::uint16_t>(headers.l3_len + length);
  headers.l4_total -= length;
  return true;
}

bool parse_ipv6(const PacketHead& head, PacketHeaders& headers) noexcept {
  if (!fits(head, headers.l2_len, ipv6_length)) return false;
  const std::uint8_t* ip = head.bytes + headers.l2_len;
  if ((ip[0] >> 4) != 6) return false;
  const std::uint32_t present = head.packet_length - headers.l2_len - ipv6_length;
  if (!bound_payload(load_be16(ip + 4), present, headers.l4_total)) return false;

  headers.l3_len = ipv6_length;
  headers.l4_protocol = ip[6];
  for (int count = 0; is_extension(headers.l4_protocol) && !headers.is_fragment; ++count)
    if (count == ipv6_extensions_max || !skip_extension(head, headers)) return false;
  headers.packet_type |= headers.l3_len == ipv6_length ? RTE_PTYPE_L3_IPV6 : RTE_PTYPE_L3_IPV6_EXT;
  return true;
}

bool parse_tcp(const PacketHead& head, PacketHeaders& headers) noexcept {
  if (headers.l4_total < tcp_length_min || !fits(head, headers.l4_offset(), tcp_length_min)) return false;
  const auto length = static_cast<std::uint16_t>((head.bytes[headers.l4_offset() + 12] >> 4) * 4);
  if (length < tcp_length_min || length > headers.l4_total || !fits(head, headers.l4_offset(), length)) return false;
  headers.l4_len = length;
  headers.packet_type |= RTE_PTYPE_L4_TCP;
  return true;
}

bool parse_udp(const PacketHead& head, PacketHeaders& headers) noexcept {
  if (headers.l4_total < udp_length || !fits(head, headers.l4_offset(), udp_length)) return false;
  headers.l4_len = udp_length;
  headers.packet_type |= RTE_PTYPE_L4_UDP;
  return true;
}

bool parse_l4(const PacketHead& head, PacketHeaders& headers) noexcept {
  if (headers.is_fragment) {
    headers.packet_type |= RTE_PTYPE_L4_FRAG;
    return true;
  }
  switch (headers.l4_protocol) {
    case protocol_tcp:
      return parse_tcp(head, headers);
    case protocol_udp:
      return parse_udp(head, headers);
    case protocol_sctp:
      headers.packet_type |= RTE_PTYPE_L4_SCTP;
      return true;
    case 1:   // ICMP
    case 58:  // ICMPv6
      headers.packet_type |= RTE_PTYPE_L4_ICMP;
      return true;
    default:
      return true;
  }
}

/// l2_len, ether_type and packet_type are set, the IP header comes next.
bool parse_from_l3(const PacketHead& head, PacketHeaders& headers) noexcept {
  if (headers.ether_type == ether_type_ipv4) return parse_ipv4(head, headers) && parse_l4(head, headers);
  if (headers.ether_type == ether_type_ipv6) return parse_ipv6(head, headers) && parse_l4(head, headers);
  return true;
}

}  // namespace

PacketHead::PacketHead(const rte_mbuf* packet) noexcept {
  for_each_piece(packet, 0, parsed_bytes_max, [this](const std::uint8_t* from, std::uint32_t count) {
    std::memcpy(bytes + length, from, count);
    memory::loaded(from, count);
    length = static_cast<std::uint16_t>(length + count);
  });
  for (; packet != nullptr; packet = packet->next) packet_length += packet->data_len;
}

bool parse_packet_headers(const PacketHead& head, PacketHeaders& headers) noexcept {
  headers = PacketHeaders{};
  if (head.length < ether_header_length) return false;
  headers.l2_len = ether_header_length;
  headers.ether_type = load_be16(head.bytes + 12);
  int tags = 0;
  for (; tags < vlan_tags_max && is_vlan(headers.ether_type); ++tags) {
    if (!fits(head, headers.l2_len, vlan_tag_length)) return false;
    headers.ether_type = load_be16(head.bytes + headers.l2_len + 2);
    headers.l2_len = static_cast<std::uint16_t>(headers.l2_len + vlan_tag_length);
  }
  headers.packet_type = l2_packet_type(tags);
  return parse_from_l3(head, headers);
}

bool parse_network_headers(const PacketHead& head, std::uint16_t l2_len, std::uint16_t ether_type,
                           PacketHeaders& headers) noexcept {
  headers = PacketHeaders{};
  headers.l2_len = l2_len;
  headers.ether_type = ether_type;
  return parse_from_l3(head, headers);
}

}  // namespace vhostx::net
