// SPDX-License-Identifier: BSD-3-Clause
// The header parser: what it finds, what it refuses, and that it never looks past what was copied.
#include "net/packet_headers.hpp"

#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "tests/net/packets.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::PacketShape;
using test::TestPacket;

/// Parses twice, with what lies behind the copied bytes being all zeros and all ones: a parser that looks there gives
/// two different answers.
bool parse(const Bytes& bytes, PacketHeaders& headers, std::size_t split = SIZE_MAX) {
  const auto packet = test::to_mbuf(bytes, split, 5);
  PacketHead head(packet.get());
  EXPECT_EQ(head.packet_length, bytes.size());
  EXPECT_EQ(head.length, std::min<std::size_t>(bytes.size(), parsed_bytes_max));
  EXPECT_TRUE(std::equal(head.bytes, head.bytes + head.length, bytes.begin()));
  std::memset(head.bytes + head.length, 0, sizeof(head.bytes) - head.length);
  const bool parsed = parse_packet_headers(head, headers);
  std::memset(head.bytes + head.length, 0xff, sizeof(head.bytes) - head.length);
  PacketHeaders again;
  EXPECT_EQ(parse_packet_headers(head, again), parsed);
  EXPECT_TRUE(!parsed || headers == again);
  return parsed;
}

TEST(PacketHeaders, FindsEveryLayerOfEveryShape) {
  for (const auto& shape : test::all_shapes(50)) {
    const TestPacket packet = test::make_packet(shape);
    PacketHeaders headers;
    ASSERT_TRUE(parse(packet.bytes, headers));
    EXPECT_EQ(headers.l2_len, packet.l3);
    EXPECT_EQ(headers.l4_offset(), packet.l4);
    EXPECT_EQ(headers.payload_offset(), packet.payload);
    EXPECT_EQ(headers.l4_total, packet.bytes.size() - packet.l4);
    EXPECT_EQ(headers.ether_type, shape.ipv6 ? ether_type_ipv6 : ether_type_ipv4);
    EXPECT_EQ(headers.is_ipv6(), shape.ipv6);
    EXPECT_EQ(headers.is_ipv4(), !shape.ipv6);
    EXPECT_EQ(headers.is_tcp(), shape.protocol == test::tcp);
    EXPECT_EQ(headers.is_udp(), shape.protocol == test::udp);
    EXPECT_FALSE(headers.is_fragment || headers.is_routed);
    const std::uint32_t l2 = shape.vlan_tags == 0   ? RTE_PTYPE_L2_ETHER
                             : shape.vlan_tags == 1 ? RTE_PTYPE_L2_ETHER_VLAN
                                                    : RTE_PTYPE_L2_ETHER_QINQ;
    const std::uint32_t l3 = shape.ipv6 ? (shape.ip_extra ? RTE_PTYPE_L3_IPV6_EXT : RTE_PTYPE_L3_IPV6)
                                        : (shape.ip_extra ? RTE_PTYPE_L3_IPV4_EXT : RTE_PTYPE_L3_IPV4);
    EXPECT_EQ(headers.packet_type, l2 | l3 | (shape.protocol == test::tcp ? RTE_PTYPE_L4_TCP : RTE_PTYPE_L4_UDP));
  }
}

TEST(PacketHeaders, HeadersMayStraddleSegmentsAtEveryOffset) {
  for (const auto& shape :
       {PacketShape{}, PacketShape{.ipv6 = true, .vlan_tags = 2, .ip_extra = 40, .tcp_options = 12}}) {
    const TestPacket packet = test::make_packet(shape);
    PacketHeaders whole;
    ASSERT_TRUE(parse(packet.bytes, whole));
    for (std::size_t split = 0; split <= packet.bytes.size(); ++split) {
      PacketHeaders headers;
      ASSERT_TRUE(parse(packet.bytes, headers, split));
      ASSERT_TRUE(headers == whole) << split;
    }
  }
}

TEST(PacketHeaders, EveryTruncationIsRefused) {
  for (const auto& shape : test::all_shapes(20)) {
    const TestPacket packet = test::make_packet(shape);
    for (std::size_t length = 0; length < packet.bytes.size(); ++length) {
      PacketHeaders headers;
      ASSERT_FALSE(parse(test::slice(packet.bytes, 0, length), headers)) << length;
    }
  }
}

TEST(PacketHeaders, WithoutAnIpLengthTheHeadersMustStillBeThere) {
  for (const auto& shape : test::all_shapes(20)) {
    TestPacket packet = test::make_packet(shape);
    test::put_word(packet.bytes, packet.l3 + (shape.ipv6 ? 4 : 2), 0);
    for (std::size_t length = 0; length < packet.bytes.size(); ++length) {
      PacketHeaders headers;
      ASSERT_EQ(parse(test::slice(packet.bytes, 0, length), headers), length >= packet.payload) << length;
    }
    PacketHeaders headers;
    ASSERT_TRUE(parse(packet.bytes, headers));
    EXPECT_EQ(headers.l4_total, packet.bytes.size() - packet.l4);
  }
}

TEST(PacketHeaders, EthernetPaddingIsNotPayload) {
  TestPacket packet = test::make_packet({.payload = 0});
  packet.bytes.resize(60);
  PacketHeaders headers;
  ASSERT_TRUE(parse(packet.bytes, headers));
  EXPECT_EQ(headers.l4_total, 20U);
}

TEST(PacketHeaders, UnknownProtocolsAreDescribedAsFarAsTheyGo) {
  Bytes arp(42, 0);
  test::put_word(arp, 12, 0x0806);
  PacketHeaders headers;
  ASSERT_TRUE(parse(arp, headers));
  EXPECT_EQ(headers.l2_len, 14);
  EXPECT_EQ(headers.l3_len, 0);
  EXPECT_EQ(headers.packet_type, RTE_PTYPE_L2_ETHER);

  TestPacket icmp = test::make_packet({.protocol = 1});
  ASSERT_TRUE(parse(icmp.bytes, headers));
  EXPECT_EQ(headers.l4_len, 0);
  EXPECT_EQ(headers.packet_type & RTE_PTYPE_L4_MASK, RTE_PTYPE_L4_ICMP);

  TestPacket tagged = test::make_packet({.vlan_tags = 2});
  test::put_word(tagged.bytes, 20, 0x8100);  // a third tag
  ASSERT_TRUE(parse(tagged.bytes, headers));
  EXPECT_EQ(headers.l2_len, 22);
  EXPECT_EQ(headers.l3_len, 0);
}

TEST(PacketHeaders, Ipv4FragmentsHaveNoL4) {
  for (const int field : {0x2000, 0x0001, 0x2001, 0x1fff}) {
    TestPacket packet = test::make_packet({});
    test::put_word(packet.bytes, packet.l3 + 6, static_cast<std::size_t>(field));
    PacketHeaders headers;
    ASSERT_TRUE(parse(packet.bytes, headers));
    EXPECT_TRUE(headers.is_fragment);
    EXPECT_EQ(headers.l4_len, 0);
    EXPECT_EQ(headers.l4_protocol, protocol_tcp);
    EXPECT_EQ(headers.packet_type & RTE_PTYPE_L4_MASK, RTE_PTYPE_L4_FRAG);
  }
  TestPacket whole = test::make_packet({});
  test::put_word(whole.bytes, whole.l3 + 6, 0x4000);  // don't fragment
  PacketHeaders headers;
  ASSERT_TRUE(parse(whole.bytes, headers));
  EXPECT_FALSE(headers.is_fragment);
}

TEST(PacketHeaders, Ipv6FragmentsExceptAtomicOnes) {
  TestPacket packet = test::make_packet({.ipv6 = true, .ip_extra = 8});
  packet.bytes[packet.l3 + 6] = 44;
  for (const int field : {0x0000, 0x0001, 0x0008, 0xfff8}) {
    test::put_word(packet.bytes, packet.l3 + 42, static_cast<std::size_t>(field));
    PacketHeaders headers;
    ASSERT_TRUE(parse(packet.bytes, headers));
    EXPECT_EQ(headers.is_fragment, field != 0);  // RFC 6946
    EXPECT_EQ(headers.l4_len, field != 0 ? 0 : 20);
  }
}

TEST(PacketHeaders, Ipv6RoutingHeaders) {
  TestPacket packet = test::make_packet({.ipv6 = true, .ip_extra = 24});
  packet.bytes[packet.l3 + 6] = 43;
  for (const int segments_left : {0, 1, 255}) {
    packet.bytes[packet.l3 + 43] = static_cast<std::uint8_t>(segments_left);
    PacketHeaders headers;
    ASSERT_TRUE(parse(packet.bytes, headers));
    EXPECT_EQ(headers.is_routed, segments_left != 0);
    EXPECT_TRUE(headers.is_tcp());
  }
}

/// `count` destination options headers of 8 bytes each.
TestPacket with_extensions(std::size_t count) {
  TestPacket packet = test::make_packet({.ipv6 = true, .ip_extra = 8 * count});
  for (std::size_t i = 0; i < count; ++i) {
    packet.bytes[packet.l3 + 40 + 8 * i] = i + 1 == count ? test::tcp : 60;
    packet.bytes[packet.l3 + 41 + 8 * i] = 0;
  }
  return packet;
}

TEST(PacketHeaders, Ipv6ExtensionHeadersAreBounded) {
  PacketHeaders headers;
  EXPECT_TRUE(parse(with_extensions(8).bytes, headers));
  EXPECT_TRUE(headers.is_tcp());
  EXPECT_FALSE(parse(with_extensions(9).bytes, headers));

  TestPacket endless = with_extensions(8);  // longer than the packet, and than what is copied
  endless.bytes[endless.l3 + 41] = 255;
  EXPECT_FALSE(parse(endless.bytes, headers));
  TestPacket beyond = with_extensions(2);  // 16 bytes of header in an IP payload of 8; what follows is padding
  beyond.bytes[beyond.l3 + 41] = 1;
  beyond.bytes[beyond.l3 + 40] = 59;
  test::put_word(beyond.bytes, beyond.l3 + 4, 8);
  EXPECT_FALSE(parse(beyond.bytes, headers));
  TestPacket large = test::make_packet({.ipv6 = true, .ip_extra = 240, .payload = 100});
  EXPECT_FALSE(parse(large.bytes, headers));  // TCP begins behind the copied bytes
}

TEST(PacketHeaders, NothingBehindAnAuthenticationHeaderIsTouched) {
  TestPacket packet = test::make_packet({.ipv6 = true, .ip_extra = 24});
  packet.bytes[packet.l3 + 6] = 51;
  PacketHeaders headers;
  ASSERT_TRUE(parse(packet.bytes, headers));
  EXPECT_EQ(headers.l4_protocol, 51);
  EXPECT_EQ(headers.l4_len, 0);
}

TEST(PacketHeaders, ContradictionsAreRefused) {
  struct Edit {
    PacketShape shape;
    std::size_t (*at)(const TestPacket&);
    std::uint8_t value;
  };
  const auto l3 = [](const TestPacket& packet) { return packet.l3; };
  const auto ip_length = [](const TestPacket& packet) { return packet.l3 + (packet.shape.ipv6 ? 5 : 3); };
  const auto data_offset = [](const TestPacket& packet) { return packet.l4 + 12; };
  for (const Edit& edit : {
           Edit{{}, l3, 0x44},                                           // header of 16 bytes
           Edit{{}, l3, 0x40},                                           // of none
           Edit{{.payload = 10}, l3, 0x4f},                              // options where TCP should be: TCP truncated
           Edit{{}, l3, 0x65},                                           // version 6 under IPv4's Ethernet type
           Edit{{.ipv6 = true}, l3, 0x45},                               // and the reverse
           Edit{{.payload = 10}, ip_length, 19},                         // total length below the header's
           Edit{{.payload = 10}, ip_length, 39},                         // TCP header cut off by the IP length
           Edit{{.payload = 10}, ip_length, 51},                         // one byte more than there is
           Edit{{.ipv6 = true, .payload = 10}, ip_length, 19},           // as above
           Edit{{.ipv6 = true, .payload = 10}, ip_length, 31},           // as above
           Edit{{.protocol = test::udp, .payload = 10}, ip_length, 27},  // UDP header cut off
           Edit{{}, data_offset, 0x40},                                  // TCP header of 16 bytes
           Edit{{.payload = 10}, data_offset, 0xf0},                     // of 60, longer than the packet
       }) {
    TestPacket packet = test::make_packet(edit.shape);
    PacketHeaders headers;
    ASSERT_TRUE(parse(packet.bytes, headers));
    packet.bytes[edit.at(packet)] = edit.value;
    EXPECT_FALSE(parse(packet.bytes, headers)) << "value " << int{edit.value};
  }
}

TEST(PacketHeaders, WhateverTheBytesTheResultLiesWithinThePacket) {
  std::mt19937 random(4);
  const auto shapes = test::all_shapes(30);
  int parsed_count = 0;
  for (int round = 0; round < 20000; ++round) {
    TestPacket packet = test::make_packet(shapes[random() % shapes.size()]);
    for (unsigned edits = random() % 4; edits > 0; --edits)
      packet.bytes[12 + random() % (packet.payload - 12)] = static_cast<std::uint8_t>(random());
    if (random() % 4 == 0) packet.bytes.resize(random() % packet.bytes.size());
    PacketHeaders headers;
    if (!parse(packet.bytes, headers)) continue;
    ++parsed_count;
    ASSERT_LE(headers.payload_offset(), std::min<std::size_t>(packet.bytes.size(), parsed_bytes_max));
    ASSERT_LE(headers.l4_offset() + headers.l4_total, packet.bytes.size());
    ASSERT_LE(headers.l4_len, headers.l4_total);
  }
  EXPECT_GT(parsed_count, 1000);
}

TEST(PacketHeaders, FromTheNetworkHeaderOn) {
  const TestPacket packet = test::make_packet({.vlan_tags = 1});
  const auto mbuf = test::to_mbuf(packet.bytes);
  const PacketHead head(mbuf.get());
  PacketHeaders headers;
  ASSERT_TRUE(parse_network_headers(head, 18, ether_type_ipv4, headers));
  EXPECT_EQ(headers.l4_offset(), packet.l4);
  EXPECT_FALSE(parse_network_headers(head, 14, ether_type_ipv4, headers));
  EXPECT_FALSE(parse_network_headers(head, 18, ether_type_ipv6, headers));
  for (std::uint32_t offset = head.length; offset <= 0xffff; offset += 97) {
    EXPECT_FALSE(parse_network_headers(head, static_cast<std::uint16_t>(offset), ether_type_ipv4, headers));
    EXPECT_FALSE(parse_network_headers(head, static_cast<std::uint16_t>(offset), ether_type_ipv6, headers));
  }
}

}  // namespace
}  // namespace vhostx::net
