// SPDX-License-Identifier: BSD-3-Clause
// Offload requests of mbufs, for guests that negotiated anything: what arrives is complete, correct and nothing more
// than the guest asked for.
#include "net/offload_to_guest.hpp"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "net/checksum.hpp"
#include "tests/net/delivery.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::Delivered;
using test::Delivery;
using test::PacketShape;
using test::TestPacket;

constexpr std::uint64_t all_guest_features = feature_guest_csum | feature_guest_tso4 | feature_guest_tso6 |
                                             feature_guest_ecn | feature_guest_uso4 | feature_guest_uso6;

std::uint64_t guest_feature_subset(unsigned bits) {
  return (bits & 1 ? feature_guest_csum : 0) | (bits & 2 ? feature_guest_tso4 : 0) |
         (bits & 4 ? feature_guest_tso6 : 0) | (bits & 8 ? feature_guest_ecn : 0) |
         (bits & 16 ? feature_guest_uso4 : 0) | (bits & 32 ? feature_guest_uso6 : 0);
}

enum class Side { transmit, receive };

std::uint64_t l4_flag(const PacketShape& shape) {
  return shape.protocol == test::tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
}

/// Asks for a checksum and, with `segment_size`, for segmentation.
void request(const TestPacket& packet, Side side, std::uint16_t segment_size, rte_mbuf* mbuf) {
  mbuf->tso_segsz = segment_size;
  if (side == Side::receive) {
    mbuf->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE | (segment_size != 0 ? RTE_MBUF_F_RX_LRO : 0);
    return;
  }
  mbuf->l2_len = packet.l3 & 0x7f;
  mbuf->l3_len = (packet.l4 - packet.l3) & 0x1ff;
  mbuf->l4_len = (packet.payload - packet.l4) & 0xff;
  mbuf->ol_flags = l4_flag(packet.shape) | (packet.shape.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
  if (segment_size == 0) return;
  mbuf->ol_flags |= packet.shape.protocol == test::tcp ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
  if (!packet.shape.ipv6) mbuf->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
}

/// The same packet as an application leaves it: lengths, checksums and pseudo sums that a NIC would fill in are
/// rubbish.
TestPacket left_open(TestPacket packet, bool segmented) {
  test::put_word(packet.bytes, packet.checksum_field(), 0xdead);
  if (!segmented || packet.shape.ipv6) return packet;
  test::put_word(packet.bytes, packet.l3 + 10, 0xbeef);
  return packet;
}

/// Whether a guest may be given such a header (VIRTIO 1.2, 5.1.6.4.1).
void expect_negotiated(const VirtioNetHeader& header, const PacketShape& shape, std::uint64_t features) {
  if ((features & feature_guest_csum) == 0) {
    EXPECT_EQ(header, VirtioNetHeader{});
  }
  EXPECT_EQ(header.flags & ~header_needs_csum, 0);
  if (header.gso_type == gso_none) {
    EXPECT_EQ(header.gso_size, 0);
    return;
  }
  EXPECT_EQ(header.flags, header_needs_csum);
  const std::uint8_t type = header.gso_type & 0x7f;
  if (type == gso_tcpv4) {
    EXPECT_TRUE(!shape.ipv6 && (features & feature_guest_tso4) != 0);
  }
  if (type == gso_tcpv6) {
    EXPECT_TRUE(shape.ipv6 && (features & feature_guest_tso6) != 0);
  }
  if (type == gso_udp_l4) {
    EXPECT_NE(features & (shape.ipv6 ? feature_guest_uso6 : feature_guest_uso4), 0U);
  }
  EXPECT_EQ((header.gso_type & gso_ecn) != 0, (shape.tcp_flags & 0x80) != 0 && shape.protocol == test::tcp);
  if ((header.gso_type & gso_ecn) != 0) {
    EXPECT_NE(features & feature_guest_ecn, 0U);
  }
}

/// What a guest sees of it after its own part of the work: correct in every sum, and the payload in order.
void expect_complete(const TestPacket& packet, const Delivery& delivery) {
  Bytes payload;
  for (const Delivered& delivered : delivery.packets) {
    Bytes bytes = delivered.bytes;
    if ((delivered.header.flags & header_needs_csum) != 0) {
      ASSERT_EQ(delivered.header.csum_start, packet.l4);
      ASSERT_EQ(delivered.header.csum_start + delivered.header.csum_offset, packet.checksum_field());
      ASSERT_EQ(test::word_at(bytes, packet.checksum_field()),
                test::slow_pseudo_sum(bytes, packet.l3, packet.l4, packet.shape.protocol));
      test::complete_like_guest(delivered.header, bytes);
    }
    ASSERT_TRUE(test::l4_checksum_good(bytes, packet.l3, packet.l4, packet.shape.protocol));
    ASSERT_TRUE(test::ip_checksum_good(bytes, packet.l3));
    ASSERT_EQ(packet.l4 + test::l4_length(bytes, packet.l3, packet.l4), bytes.size());
    payload.insert(payload.end(), bytes.begin() + static_cast<long>(packet.payload), bytes.end());
  }
  ASSERT_EQ(payload, test::slice(packet.bytes, packet.payload, packet.shape.payload));
}

/// One packet, one request, all 64 feature sets.
void deliver_to_everyone(const TestPacket& packet, Side side, std::uint16_t segment_size) {
  const TestPacket sent = left_open(packet, segment_size != 0 && side == Side::transmit);
  const auto mbuf = test::to_mbuf(sent.bytes, 37, 11);
  request(packet, side, segment_size, mbuf.get());
  const rte_mbuf before = *mbuf;
  for (unsigned bits = 0; bits < 64; ++bits) {
    SCOPED_TRACE(bits);
    const std::uint64_t features = guest_feature_subset(bits);
    const Delivery delivery = test::deliver(mbuf.get(), features);
    ASSERT_NE(delivery.verdict, OffloadVerdict::bad_offload);
    const bool whole = delivery.packets.size() == 1;
    if (segment_size == 0) {
      EXPECT_TRUE(whole);
    }
    if (whole && segment_size == 0) {
      EXPECT_EQ(delivery.verdict == OffloadVerdict::ready_checksummed, (features & feature_guest_csum) == 0);
    }
    for (const auto& delivered : delivery.packets) {
      expect_negotiated(delivered.header, packet.shape, features);
      if (delivered.header.gso_type == gso_none && segment_size != 0) {
        EXPECT_LE(delivered.bytes.size(), packet.payload + segment_size);
      }
    }
    ASSERT_NO_FATAL_FAILURE(expect_complete(packet, delivery));
    ASSERT_EQ(test::bytes_of(mbuf.get()), sent.bytes);
    ASSERT_EQ(std::memcmp(&before, mbuf.get(), sizeof(before)), 0);
  }
}

TEST(OffloadToGuest, ChecksumsForEveryShapeAndEveryGuest) {
  for (const std::size_t payload : std::initializer_list<std::size_t>{0, 1, 2, 101, 1400})
    for (const auto& shape : test::all_shapes(payload))
      for (const Side side : {Side::transmit, Side::receive}) deliver_to_everyone(test::make_packet(shape), side, 0);
}

TEST(OffloadToGuest, SegmentationForEveryShapeAndEveryGuest) {
  for (const int flags : {0x18, 0x91, 0x80})  // PSH and ACK; CWR, ACK and FIN; CWR
    for (auto shape : test::all_shapes(999)) {
      shape.tcp_flags = static_cast<std::uint8_t>(flags);
      for (const Side side : {Side::transmit, Side::receive}) deliver_to_everyone(test::make_packet(shape), side, 400);
    }
}

TEST(OffloadToGuest, SegmentationOf64KiB) {
  for (const bool ipv6 : {false, true})
    for (const std::uint8_t protocol : {test::tcp, test::udp})
      for (const Side side : {Side::transmit, Side::receive})
        deliver_to_everyone(test::make_packet({.protocol = protocol, .ipv6 = ipv6, .payload = 65000}), side, 1448);
}

TEST(OffloadToGuest, TheHeaderOfALargePacketInFull) {
  for (const bool ipv6 : {false, true}) {
    const TestPacket packet = test::make_packet({.ipv6 = ipv6, .vlan_tags = 1, .tcp_options = 12, .payload = 5000});
    const auto mbuf = test::to_mbuf(packet.bytes);
    request(packet, Side::transmit, 1400, mbuf.get());
    const Delivery delivery = test::deliver(mbuf.get(), all_guest_features);
    ASSERT_EQ(delivery.verdict, OffloadVerdict::ready);
    ASSERT_EQ(delivery.packets.size(), 1U);
    VirtioNetHeader expected;
    expected.flags = header_needs_csum;
    expected.gso_type = ipv6 ? gso_tcpv6 : gso_tcpv4;
    expected.gso_size = 1400;
    expected.hdr_len = static_cast<std::uint16_t>(packet.payload);
    expected.csum_start = static_cast<std::uint16_t>(packet.l4);
    expected.csum_offset = 16;
    EXPECT_EQ(delivery.packets[0].header, expected);
    EXPECT_EQ(delivery.packets[0].bytes, test::with_pseudo_sum(packet).bytes);
  }
}

TEST(OffloadToGuest, AnIpLengthLeftOpenIsFilledIn) {
  for (const bool ipv6 : {false, true})
    for (const std::uint8_t protocol : {test::tcp, test::udp}) {
      const TestPacket packet = test::make_packet({.protocol = protocol, .ipv6 = ipv6, .payload = 5000});
      TestPacket sent = packet;
      test::put_word(sent.bytes, sent.l3 + (ipv6 ? 4 : 2), 0);
      if (protocol == test::udp) test::put_word(sent.bytes, sent.l4 + 4, 0);
      for (const std::uint16_t size : {std::uint16_t{1400}, std::uint16_t{6000}}) {
        const auto mbuf = test::to_mbuf(sent.bytes);
        request(packet, Side::transmit, size, mbuf.get());
        for (const std::uint64_t features : {std::uint64_t{0}, all_guest_features})
          ASSERT_NO_FATAL_FAILURE(expect_complete(packet, test::deliver(mbuf.get(), features)));
        if (protocol == test::tcp) continue;
        const Bytes whole = test::deliver(mbuf.get(), all_guest_features).packets[0].bytes;
        EXPECT_EQ(test::word_at(whole, packet.l4 + 4), 5008);
      }
    }
}

TEST(OffloadToGuest, OneSegmentIsNoSegmentation) {
  const TestPacket packet = test::make_packet({.payload = 400});
  for (const Side side : {Side::transmit, Side::receive}) {
    const auto mbuf = test::to_mbuf(packet.bytes);
    request(packet, side, 400, mbuf.get());
    const Delivery delivery = test::deliver(mbuf.get(), all_guest_features);
    ASSERT_EQ(delivery.verdict, OffloadVerdict::ready);
    EXPECT_EQ(delivery.packets[0].header.gso_type, gso_none);
    EXPECT_EQ(delivery.packets[0].header.flags, header_needs_csum);
  }
}

TEST(OffloadToGuest, PacketsWithoutOffloadGoAsTheyAre) {
  const TestPacket packet = test::make_packet({});
  const auto mbuf = test::to_mbuf(packet.bytes, 20);
  for (const std::uint64_t flags :
       std::initializer_list<std::uint64_t>{0, RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_BAD})
    for (unsigned bits = 0; bits < 64; ++bits) {
      mbuf->ol_flags = flags;
      EXPECT_FALSE(needs_offload(*mbuf));
      PacketView view;
      ASSERT_EQ(prepare_for_guest(mbuf.get(), guest_feature_subset(bits), view), OffloadVerdict::ready);
      VirtioNetHeader expected;
      if (flags == RTE_MBUF_F_RX_L4_CKSUM_GOOD && (bits & 1) != 0) expected.flags = header_data_valid;
      EXPECT_EQ(view.header, expected);
      EXPECT_EQ(view.prefix_length, 0);
      EXPECT_EQ(test::bytes_of(view), packet.bytes);
    }
}

TEST(OffloadToGuest, ReceiveFlagsThatMakeNoSenseChangeNothing) {
  TestPacket arp = test::make_packet({});
  test::put_word(arp.bytes, 12, 0x0806);
  TestPacket truncated = test::make_packet({});
  truncated.bytes.resize(truncated.l4 + 10);
  TestPacket fragment = test::make_packet({});
  test::put_word(fragment.bytes, fragment.l3 + 6, 0x2000);
  TestPacket routed = test::make_packet({.ipv6 = true, .ip_extra = 24});
  routed.bytes[routed.l3 + 6] = 43;
  routed.bytes[routed.l3 + 43] = 1;
  const TestPacket whole = test::make_packet({});
  for (const TestPacket& packet : {arp, truncated, fragment, routed, whole}) {
    const auto mbuf = test::to_mbuf(packet.bytes);
    mbuf->tso_segsz = 10;
    mbuf->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_BAD;  // what is damaged stays visibly so
    if (packet.bytes != whole.bytes) mbuf->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
    for (const std::uint64_t features : {std::uint64_t{0}, all_guest_features}) {
      const Delivery delivery = test::deliver(mbuf.get(), features);
      ASSERT_EQ(delivery.verdict, OffloadVerdict::ready);
      EXPECT_EQ(delivery.packets[0].bytes, packet.bytes);
      EXPECT_EQ(delivery.packets[0].header, VirtioNetHeader{});
    }
  }
}

TEST(OffloadToGuest, WhatANicCoalescedIsCutAgain) {
  const TestPacket packet = test::make_packet({.payload = 3000});
  const auto mbuf = test::to_mbuf(packet.bytes);
  mbuf->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  mbuf->tso_segsz = 1000;
  EXPECT_EQ(test::deliver(mbuf.get(), 0).packets.size(), 3U);
  ASSERT_NO_FATAL_FAILURE(expect_complete(packet, test::deliver(mbuf.get(), 0)));
  EXPECT_EQ(test::deliver(mbuf.get(), all_guest_features).packets[0].header.gso_type, gso_tcpv4);
  for (const std::uint16_t size : {std::uint16_t{0}, std::uint16_t{3000}}) {  // a driver that does not say; one segment
    mbuf->tso_segsz = size;
    const Delivery whole = test::deliver(mbuf.get(), all_guest_features);
    EXPECT_EQ(whole.verdict, OffloadVerdict::ready);
    EXPECT_EQ(whole.packets[0].bytes, packet.bytes);
    EXPECT_EQ(whole.packets[0].header, (VirtioNetHeader{.flags = header_data_valid}));
  }
}

TEST(OffloadToGuest, LengthsThatThePacketContradictsAreRefused) {
  for (const auto& shape : test::all_shapes(900)) {
    const TestPacket packet = test::make_packet(shape);
    const auto mbuf = test::to_mbuf(packet.bytes);
    for (const int part : {0, 1, 2})
      for (const int change : {-4, -1, 1, 4, 60}) {
        request(packet, Side::transmit, 300, mbuf.get());
        if (part == 0) mbuf->l2_len = (mbuf->l2_len + static_cast<unsigned>(change)) & 0x7f;
        if (part == 1) mbuf->l3_len = (mbuf->l3_len + static_cast<unsigned>(change)) & 0x1ff;
        if (part == 2) mbuf->l4_len = (mbuf->l4_len + static_cast<unsigned>(change)) & 0xff;
        PacketView view;
        EXPECT_EQ(prepare_for_guest(mbuf.get(), all_guest_features, view), OffloadVerdict::bad_offload)
            << part << change;
      }
  }
}

TEST(OffloadToGuest, TransmitFlagsThatThePacketContradictsAreRefused) {
  const TestPacket packet = test::make_packet({});
  const TestPacket datagram = test::make_packet({.protocol = test::udp});
  constexpr std::uint64_t v4 = RTE_MBUF_F_TX_IPV4;
  struct Row {
    const TestPacket& packet;
    std::uint64_t flags;
  };
  for (const Row& row : {
           Row{packet, RTE_MBUF_F_TX_TCP_CKSUM},                                  // no IP version
           Row{packet, RTE_MBUF_F_TX_TCP_CKSUM | v4 | RTE_MBUF_F_TX_IPV6},        // two
           Row{packet, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6},             // the other
           Row{packet, RTE_MBUF_F_TX_UDP_CKSUM | v4},                             // the other protocol
           Row{packet, RTE_MBUF_F_TX_SCTP_CKSUM | v4},                            //
           Row{datagram, RTE_MBUF_F_TX_TCP_CKSUM | v4},                           //
           Row{datagram, RTE_MBUF_F_TX_TCP_SEG | v4},                             //
           Row{packet, RTE_MBUF_F_TX_UDP_SEG | v4},                               //
           Row{packet, RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG | v4},       // both
           Row{packet, RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_CKSUM | v4},     //
           Row{datagram, RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | v4},   //
           Row{packet, RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TUNNEL_VXLAN | v4},  // not offered
           Row{packet, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_OUTER_IP_CKSUM | v4},
           Row{packet, RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV6},
       }) {
    const auto mbuf = test::to_mbuf(row.packet.bytes);
    request(row.packet, Side::transmit, 10, mbuf.get());
    mbuf->ol_flags = row.flags;
    PacketView view;
    EXPECT_EQ(prepare_for_guest(mbuf.get(), all_guest_features, view), OffloadVerdict::bad_offload)
        << std::hex << row.flags;
  }
}

TEST(OffloadToGuest, SegmentSizesOutOfBoundsAreRefused) {
  const TestPacket packet = test::make_packet({.payload = 60000});
  const auto mbuf = test::to_mbuf(packet.bytes);
  PacketView view;
  for (const std::uint16_t size : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{29}}) {
    request(packet, Side::transmit, 1448, mbuf.get());
    mbuf->tso_segsz = size;
    EXPECT_EQ(prepare_for_guest(mbuf.get(), all_guest_features, view), OffloadVerdict::bad_offload) << size;
  }
  request(packet, Side::transmit, 30, mbuf.get());
  EXPECT_EQ(prepare_for_guest(mbuf.get(), 0, view), OffloadVerdict::segment);

  Bytes large = packet.bytes;  // more than an IP length can say
  large.resize(14 + 65536);
  const auto larger = test::to_mbuf(large);
  request(packet, Side::transmit, 1448, larger.get());
  EXPECT_EQ(prepare_for_guest(larger.get(), all_guest_features, view), OffloadVerdict::bad_offload);
}

TEST(OffloadToGuest, AnIpChecksumAloneDoesNotCareWhatFollows) {
  for (const std::size_t options : std::initializer_list<std::size_t>{0, 40}) {
    TestPacket packet = test::make_packet({.ip_extra = options});
    packet.bytes[packet.l4 + 12] = 0;  // a TCP header that makes no sense
    TestPacket sent = packet;
    test::put_word(sent.bytes, sent.l3 + 10, 0xffff);
    const auto mbuf = test::to_mbuf(sent.bytes, 25);
    request(packet, Side::transmit, 0, mbuf.get());
    mbuf->ol_flags = RTE_MBUF_F_TX_IP_CKSUM;
    const Delivery delivery = test::deliver(mbuf.get(), 0);
    ASSERT_EQ(delivery.verdict, OffloadVerdict::ready);
    EXPECT_EQ(delivery.packets[0].bytes, packet.bytes);
    EXPECT_EQ(delivery.packets[0].header, VirtioNetHeader{});
    mbuf->l3_len = (mbuf->l3_len + 4U) & 0x1ff;
    EXPECT_EQ(test::deliver(mbuf.get(), 0).verdict, OffloadVerdict::bad_offload);
  }
}

TEST(OffloadToGuest, SctpIsCompletedInSoftware) {
  for (const bool ipv6 : {false, true}) {
    const TestPacket packet = test::make_packet({.protocol = test::sctp, .ipv6 = ipv6, .payload = 77});
    const auto mbuf = test::to_mbuf(packet.bytes, 50, 40);
    request(packet, Side::transmit, 0, mbuf.get());
    mbuf->ol_flags = RTE_MBUF_F_TX_SCTP_CKSUM | (ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
    const Delivery delivery = test::deliver(mbuf.get(), all_guest_features);
    ASSERT_EQ(delivery.verdict, OffloadVerdict::ready_checksummed);
    const std::uint32_t crc =
        ~crc32c(crc32c_start, packet.bytes.data() + packet.l4, packet.bytes.size() - packet.l4);  // the field is zero
    Bytes expected = packet.bytes;
    for (unsigned i = 0; i < 4; ++i) expected[packet.l4 + 8 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
    EXPECT_EQ(delivery.packets[0].bytes, expected);
  }
}

TEST(OffloadToGuest, TheInnerChecksumOfATunnel) {
  const TestPacket inner = test::make_packet({.payload = 33});
  TestPacket outer = test::make_packet({.protocol = test::udp, .payload = 8 + inner.bytes.size()});
  const std::size_t at = outer.payload + 8;
  std::copy(inner.bytes.begin(), inner.bytes.end(), outer.bytes.begin() + static_cast<long>(at));
  TestPacket sent = outer;
  test::put_word(sent.bytes, at + inner.checksum_field(), 0xdead);
  const auto mbuf = test::to_mbuf(sent.bytes);
  mbuf->outer_l2_len = outer.l3 & 0x7f;
  mbuf->outer_l3_len = (outer.l4 - outer.l3) & 0x1ff;
  mbuf->l2_len = (at - outer.l4 + inner.l3) & 0x7f;  // outer L4, tunnel and inner Ethernet headers
  mbuf->l3_len = (inner.l4 - inner.l3) & 0x1ff;
  mbuf->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TUNNEL_VXLAN;
  for (const std::uint64_t features : {std::uint64_t{0}, all_guest_features}) {
    Delivery delivery = test::deliver(mbuf.get(), features);
    ASSERT_EQ(delivery.packets.size(), 1U);
    test::complete_like_guest(delivery.packets[0].header, delivery.packets[0].bytes);
    EXPECT_EQ(delivery.packets[0].bytes, outer.bytes);
  }
}

TEST(OffloadToGuest, ARoutedDestinationIsTheApplicationsToSum) {
  TestPacket packet = test::make_packet({.ipv6 = true, .ip_extra = 24, .payload = 500});
  packet.bytes[packet.l3 + 6] = 43;
  packet.bytes[packet.l3 + 43] = 1;
  test::put_word(packet.bytes, packet.checksum_field(), 0x1234);
  const auto mbuf = test::to_mbuf(packet.bytes);
  request(packet, Side::transmit, 0, mbuf.get());
  EXPECT_EQ(test::word_at(test::deliver(mbuf.get(), all_guest_features).packets[0].bytes, packet.checksum_field()),
            0x1234);
  request(packet, Side::transmit, 100, mbuf.get());  // where the application's sum has no length
  EXPECT_EQ(test::word_at(test::deliver(mbuf.get(), all_guest_features).packets[0].bytes, packet.checksum_field()),
            0x1234 + 520);
}

TEST(OffloadToGuest, EveryTruncationIsRefusedOrUntouched) {
  const TestPacket packet = test::make_packet({.ip_extra = 8, .tcp_options = 12, .payload = 50});
  for (std::size_t length = 0; length < packet.bytes.size(); ++length) {
    const Bytes bytes = test::slice(packet.bytes, 0, length);
    const auto mbuf = test::to_mbuf(bytes, 10);
    for (const std::uint16_t size : {std::uint16_t{0}, std::uint16_t{20}}) {
      request(packet, Side::transmit, size, mbuf.get());
      EXPECT_EQ(test::deliver(mbuf.get(), 0).verdict, OffloadVerdict::bad_offload) << length;
      request(packet, Side::receive, size, mbuf.get());
      const Delivery delivery = test::deliver(mbuf.get(), 0);
      ASSERT_EQ(delivery.verdict, OffloadVerdict::ready) << length;
      EXPECT_EQ(delivery.packets[0].bytes, bytes);
    }
  }
}

}  // namespace
}  // namespace vhostx::net
