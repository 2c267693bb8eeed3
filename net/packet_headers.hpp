// SPDX-License-Identifier: BSD-3-Clause
// A bounded parser of Ethernet, VLAN, IPv4, IPv6, TCP and UDP headers, for packets that a hostile guest wrote.
#pragma once

#include <cstdint>

#include "net/packet_view.hpp"

struct rte_mbuf;

namespace vhostx::net {

/// A private copy of a packet's first bytes. Parsing and editing use only this copy: the packet itself may be guest
/// memory (zero copy), which may change at any time, and its headers may span mbuf segments.
struct PacketHead {
  std::uint16_t length = 0;         ///< Bytes copied: parsed_bytes_max, or the whole packet if it is shorter.
  std::uint32_t packet_length = 0;  ///< Bytes in the whole packet, counted over the segments that are really there.
  std::uint8_t bytes[parsed_bytes_max];

  PacketHead() noexcept {}  // NOLINT: not cleared, `length` says what is valid
  explicit PacketHead(const rte_mbuf* packet) noexcept;
};

inline constexpr std::uint16_t ether_type_ipv4 = 0x0800;
inline constexpr std::uint16_t ether_type_ipv6 = 0x86dd;
inline constexpr std::uint8_t protocol_tcp = 6;
inline constexpr std::uint8_t protocol_udp = 17;
inline constexpr std::uint8_t protocol_sctp = 132;
inline constexpr std::uint32_t ip_length_max = 0xffff;

/// Which headers a packet has, and where. Lengths are 0 for a layer that is missing or that the parser does not know.
struct PacketHeaders {
  std::uint16_t l2_len = 0;       ///< Ethernet with its VLAN tags (two at most).
  std::uint16_t l3_len = 0;       ///< IPv4 with options, or IPv6 with extension headers.
  std::uint16_t l4_len = 0;       ///< TCP with options, or UDP. 0 in fragments, whose first bytes may be anything.
  std::uint16_t ether_type = 0;   ///< Behind the VLAN tags, host order.
  std::uint8_t l4_protocol = 0;   ///< IP protocol number behind the extension headers, of fragments too.
  bool is_fragment = false;       ///< First, middle or last.
  bool is_routed = false;         ///< IPv6 routing header with segments left: the final destination is not in `l3`.
  std::uint32_t packet_type = 0;  ///< RTE_PTYPE_*
  /// Bytes of L4 header and payload by the IP header's length, without Ethernet padding; no more than the packet has.
  /// An IP length of 0 (segmentation offload of large packets, jumbograms) means all of the packet.
  std::uint32_t l4_total = 0;

  std::uint16_t l4_offset() const noexcept { return static_cast<std::uint16_t>(l2_len + l3_len); }
  std::uint16_t payload_offset() const noexcept { return static_cast<std::uint16_t>(l2_len + l3_len + l4_len); }
  bool is_ipv4() const noexcept { return l3_len != 0 && ether_type == ether_type_ipv4; }
  bool is_ipv6() const noexcept { return l3_len != 0 && ether_type == ether_type_ipv6; }
  bool is_tcp() const noexcept { return l4_len != 0 && l4_protocol == protocol_tcp; }
  bool is_udp() const noexcept { return l4_len != 0 && l4_protocol == protocol_udp; }

  friend bool operator==(const PacketHeaders&, const PacketHeaders&) = default;
};

/// Parses from the Ethernet header on. False: a header is truncated, contradicts itself, or is beyond the bytes copied;
/// `headers` is then unspecified. An unknown protocol is no error: `headers` describes what precedes it.
bool parse_packet_headers(const PacketHead& head, PacketHeaders& headers) noexcept;

/// The same from an IP header at `l2_len` on. `ether_type` names its version.
bool parse_network_headers(const PacketHead& head, std::uint16_t l2_len, std::uint16_t ether_type,
                           PacketHeaders& headers) noexcept;

}  // namespace vhostx::net
