// SPDX-License-Identifier: BSD-3-Clause
// to_transmit_offload: a guest's packet, as a NIC is to be asked for it.
#include <gtest/gtest.h>

#include <vhostx/offload.hpp>

#include "net/offload_from_guest.hpp"
#include "tests/net/delivery.hpp"

namespace vhostx::net {
namespace {

using test::TestPacket;

constexpr std::uint64_t receive_flags = RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO;

TEST(TransmitOffload, ChecksumAndSegmentationOfEveryShape) {
  for (const auto& shape : test::all_shapes(2000))
    for (const std::uint16_t size : {std::uint16_t{0}, std::uint16_t{700}, std::uint16_t{2000}}) {
      const TestPacket packet = test::make_packet(shape);
      const auto mbuf = test::to_mbuf(packet.bytes, 30, 30);
      mbuf->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE | (size != 0 ? RTE_MBUF_F_RX_LRO : 0) | RTE_MBUF_F_RX_RSS_HASH;
      mbuf->tso_segsz = size;
      ASSERT_TRUE(to_transmit_offload(mbuf.get()));
      const bool is_tcp = shape.protocol == test::tcp;
      std::uint64_t expected = shape.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
      expected |= is_tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
      if (size == 700) expected |= is_tcp ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
      if (size == 700 && !shape.ipv6) expected |= RTE_MBUF_F_TX_IP_CKSUM;
      EXPECT_EQ(mbuf->ol_flags, expected | RTE_MBUF_F_RX_RSS_HASH);
      EXPECT_EQ(mbuf->l2_len, packet.l3);
      EXPECT_EQ(mbuf->l3_len, packet.l4 - packet.l3);
      EXPECT_EQ(mbuf->l4_len, packet.payload - packet.l4);
      EXPECT_EQ(mbuf->tso_segsz, size);
      EXPECT_EQ(test::bytes_of(mbuf.get()), packet.bytes);
    }
}

TEST(TransmitOffload, BothFormsReachAGuestAlike) {
  for (const auto& shape : test::all_shapes(2000))
    for (const std::uint64_t features :
         {std::uint64_t{0}, feature_guest_csum, feature_guest_csum | feature_guest_tso4 | feature_guest_uso6}) {
      const TestPacket packet = test::with_pseudo_sum(test::make_packet(shape));
      const auto mbuf = test::to_mbuf(packet.bytes);
      mbuf->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO;
      mbuf->tso_segsz = 700;
      const test::Delivery received = test::deliver(mbuf.get(), features);
      ASSERT_TRUE(to_transmit_offload(mbuf.get()));
      const test::Delivery asked = test::deliver(mbuf.get(), features);
      ASSERT_EQ(received.verdict, asked.verdict);
      ASSERT_EQ(received.packets.size(), asked.packets.size());
      for (std::size_t i = 0; i < asked.packets.size(); ++i) {
        EXPECT_EQ(received.packets[i].header, asked.packets[i].header);
        EXPECT_EQ(received.packets[i].bytes, asked.packets[i].bytes);
      }
    }
}

TEST(TransmitOffload, PacketsThatAskForNothingStayAsTheyAre) {
  const auto mbuf = test::to_mbuf({1, 2, 3});
  for (const std::uint64_t flags :
       std::initializer_list<std::uint64_t>{0, RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_BAD,
                                            RTE_MBUF_F_RX_L4_CKSUM_BAD | RTE_MBUF_F_RX_LRO}) {
    mbuf->ol_flags = flags;
    EXPECT_TRUE(to_transmit_offload(mbuf.get()));
    EXPECT_EQ(mbuf->ol_flags, flags);
  }
}

TEST(TransmitOffload, WhatCannotBeSaidIsRefusedAndUnchanged) {
  TestPacket arp = test::make_packet({});
  test::put_word(arp.bytes, 12, 0x0806);
  TestPacket truncated = test::make_packet({});
  truncated.bytes.resize(truncated.l4 + 10);
  TestPacket routed = test::make_packet({.ipv6 = true, .ip_extra = 24});
  routed.bytes[routed.l3 + 6] = 43;
  routed.bytes[routed.l3 + 43] = 1;
  for (const TestPacket& packet : {arp, truncated, routed}) {
    const auto mbuf = test::to_mbuf(packet.bytes);
    mbuf->ol_flags = receive_flags;
    mbuf->tso_segsz = 10;
    EXPECT_FALSE(to_transmit_offload(mbuf.get()));
    EXPECT_EQ(mbuf->ol_flags, receive_flags);
    EXPECT_EQ(mbuf->l2_len, 0);
  }
  const auto mbuf = test::to_mbuf(test::make_packet({}).bytes);
  mbuf->ol_flags = receive_flags;  // segmentation into segments of no size
  EXPECT_FALSE(to_transmit_offload(mbuf.get()));
  EXPECT_EQ(mbuf->ol_flags, receive_flags);
}

TEST(TransmitOffload, CoalescedByANicAndAlreadyGood) {
  const auto mbuf = test::to_mbuf(test::make_packet({.payload = 500}).bytes);
  mbuf->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  mbuf->tso_segsz = 500;  // one segment: its finished checksum must not be summed again
  EXPECT_TRUE(to_transmit_offload(mbuf.get()));
  EXPECT_EQ(mbuf->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
  mbuf->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  mbuf->tso_segsz = 499;
  EXPECT_TRUE(to_transmit_offload(mbuf.get()));
  EXPECT_NE(mbuf->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0U);
}

}  // namespace
}  // namespace vhostx::net
