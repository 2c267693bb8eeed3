// SPDX-License-Identifier: BSD-3-Clause
// Packets for the tests of net/, and a slow, obvious model of their checksums that shares no code with the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <rte_mbuf.h>

#include "net/packet_view.hpp"

namespace vhostx::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t tcp = 6;
inline constexpr std::uint8_t udp = 17;
inline constexpr std::uint8_t sctp = 132;

struct PacketShape {
  std::uint8_t protocol = tcp;
  bool ipv6 = false;
  int vlan_tags = 0;
  std::size_t ip_extra = 0;     ///< IPv4 options (multiple of 4), or an IPv6 destination options header (of 8).
  std::size_t tcp_options = 0;  ///< Multiple of 4.
  std::uint8_t tcp_flags = 0x18;
  std::size_t payload = 100;
};

/// A packet whose every length and checksum is right.
struct TestPacket {
  Bytes bytes;
  std::size_t l3 = 0;
  std::size_t l4 = 0;
  std::size_t payload = 0;
  PacketShape shape;

  std::size_t checksum_field() const { return l4 + (shape.protocol == tcp ? 16 : 6); }
};

TestPacket make_packet(const PacketShape& shape);

/// The same packet as a driver hands it over with NEEDS_CSUM: the pseudo header's sum in the checksum field.
TestPacket with_pseudo_sum(TestPacket packet);

/// TCP or UDP, IPv4 or IPv6, with and without tags, options and extension headers.
std::vector<PacketShape> all_shapes(std::size_t payload);

// The slow model: sums of big-endian words, an odd byte padded with zero, not complemented.
std::uint16_t slow_sum(const Bytes& bytes);
Bytes slice(const Bytes& bytes, std::size_t from, std::size_t length);
std::uint16_t word_at(const Bytes& bytes, std::size_t at);
void put_word(Bytes& bytes, std::size_t at, std::size_t value);
std::uint32_t long_at(const Bytes& bytes, std::size_t at);

/// Length of L4 header and payload as the IP header at `l3` has it, its L4 header being at `l4`.
std::size_t l4_length(const Bytes& bytes, std::size_t l3, std::size_t l4);
/// The pseudo header with that length.
std::uint16_t slow_pseudo_sum(const Bytes& bytes, std::size_t l3, std::size_t l4, std::uint8_t protocol);
/// Whether a receiver would accept the TCP or UDP checksum.
bool l4_checksum_good(const Bytes& bytes, std::size_t l3, std::size_t l4, std::uint8_t protocol);
/// The same for IPv4's; true for IPv6, which has none.
bool ip_checksum_good(const Bytes& bytes, std::size_t l3);
/// What a driver does with NEEDS_CSUM before it passes a packet on to a wire (VIRTIO 1.2, 5.1.6.4.2).
void complete_like_guest(const net::VirtioNetHeader& header, Bytes& bytes);

// ---- mbufs

struct FreeMbuf {
  void operator()(rte_mbuf* packet) const noexcept { rte_pktmbuf_free(packet); }
};
using MbufPtr = std::unique_ptr<rte_mbuf, FreeMbuf>;

/// A chain whose first segment has `first` bytes, the second `second` bytes, the rest as many as fit.
MbufPtr to_mbuf(const Bytes& bytes, std::size_t first = SIZE_MAX, std::size_t second = SIZE_MAX);
Bytes bytes_of(const rte_mbuf* packet);
Bytes bytes_of(const net::PacketView& view);

}  // namespace vhostx::test
