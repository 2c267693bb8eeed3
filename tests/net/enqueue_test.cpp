// SPDX-License-Identifier: BSD-3-Clause
// Host to guest: into whatever buffers a driver posts.
#include <tuple>

#include <gtest/gtest.h>

#include "tests/net/packets.hpp"
#include "tests/net/ring_fixture.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::join;
using test::legacy;
using test::make_packet;
using test::mergeable;
using test::pattern;
using test::plain;
using test::RingFixture;
using test::test_pool;

/// What the driver received in one packet.
struct Received {
  VirtioNetHeader header;
  Bytes packet;
};

/// Features, and whether a transfer's halves do it.
class Enqueue : public ::testing::TestWithParam<std::tuple<std::uint64_t, bool>> {
 protected:
  static std::uint64_t features() { return std::get<0>(GetParam()); }
  static bool transferring() { return std::get<1>(GetParam()); }

  ~Enqueue() override {
    for (rte_mbuf* packet : packets_) rte_pktmbuf_free(packet);
    EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U);
  }

  rte_mbuf* packet(const Bytes& bytes, std::size_t segment = 65535) {
    packets_.push_back(make_packet(test_pool(), bytes, segment));
    return packets_.back();
  }

  /// Takes the used buffers and puts packets together as a driver does.
  std::vector<Received> receive(RingFixture& ring) {
    std::vector<Received> received;
    const auto used = ring.driver.reap();
    for (std::size_t i = 0; i < used.size();) {
      Bytes bytes = ring.driver.bytes_of(used[i++]);
      Received one;
      const std::size_t length = header_length(ring.features);
      EXPECT_GE(bytes.size(), length);
      std::copy_n(bytes.begin(), length, reinterpret_cast<std::uint8_t*>(&one.header));
      one.packet.assign(bytes.begin() + static_cast<std::ptrdiff_t>(length), bytes.end());
      for (int more = length == header_length_full ? one.header.num_buffers : 1; more > 1 && i < used.size(); --more)
        one.packet = join(one.packet, ring.driver.bytes_of(used[i++]));
      received.push_back(one);
    }
    return received;
  }

  std::vector<rte_mbuf*> packets_;
};
INSTANTIATE_TEST_SUITE_P(Headers, Enqueue,
                         ::testing::Combine(::testing::Values(mergeable, plain, legacy), ::testing::Bool()));

TEST_P(Enqueue, IntoOneDescriptor) {
  RingFixture ring(features());
  ring.transferring = transferring();
  ring.driver.chain().writable(2000).publish();
  EXPECT_EQ(ring.enqueue({packet(pattern(64))}), 1);
  const auto got = receive(ring);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].packet, pattern(64));
  EXPECT_EQ(got[0].header.flags, 0);
  EXPECT_EQ(got[0].header.gso_type, gso_none);
  if (features() != legacy) {
    EXPECT_EQ(got[0].header.num_buffers, 1);
  }
  EXPECT_EQ(ring.count(VringCounter::packets), 1U);
  EXPECT_EQ(ring.count(VringCounter::bytes), 64U);
}

TEST_P(Enqueue, HeaderAndDataApartAndIndirect) {
  RingFixture ring(features());
  ring.transferring = transferring();
  ring.driver.chain().writable(header_length(features())).writable(2000).publish();
  ring.driver.chain().indirect().writable(5).writable(5).writable(2000).publish();
  EXPECT_EQ(ring.enqueue({packet(pattern(64, 1)), packet(pattern(65, 2))}), 2);
  const auto got = receive(ring);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0].packet, pattern(64, 1));
  EXPECT_EQ(got[1].packet, pattern(65, 2));
}

TEST_P(Enqueue, MbufChains) {
  RingFixture ring(features());
  ring.transferring = transferring();
  const Bytes bytes = pattern(1500);
  for (const std::size_t segment : {3U, 7U, 100U, 1499U, 1500U}) {
    ring.driver.chain().writable(2000).publish();
    ASSERT_EQ(ring.enqueue({packet(bytes, segment)}), 1);
    const auto got = receive(ring);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].packet, bytes) << segment;
    rte_pktmbuf_free(packets_.back());
    packets_.pop_back();
  }
}

TEST_P(Enqueue, AFullRingTakesNoMoreAndLosesNothing) {
  RingFixture ring(features(), 4);
  ring.transferring = transferring();
  for (int i = 0; i < 3; ++i) ring.driver.chain().writable(2000).publish();
  std::vector<rte_mbuf*> burst;
  for (std::uint8_t i = 0; i < 5; ++i) burst.push_back(packet(pattern(60, i)));
  EXPECT_EQ(ring.enqueue(burst), 3);
  EXPECT_EQ(ring.count(VringCounter::stall_no_buffer), 1U);
  EXPECT_EQ(receive(ring).size(), 3U);
  for (int i = 0; i < 2; ++i) ring.driver.chain().writable(2000).publish();
  EXPECT_EQ(ring.enqueue({burst.begin() + 3, burst.end()}), 2);
  const auto got = receive(ring);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[1].packet, pattern(60, 4));
}

TEST_P(Enqueue, SaysWhyPacketsWereLeft) {
  if (features() != mergeable) GTEST_SKIP() << "a packet takes one buffer";
  RingFixture ring(features(), 32);
  ring.transferring = transferring();
  for (int i = 0; i < 16; ++i) ring.driver.chain().writable(2048).publish();
  rte_mbuf* const large = packet(pattern(60000));
  rte_mbuf* const small = packet(pattern(60));
  EXPECT_EQ(ring.enqueue({large, small}), 0) << "30 buffers would hold it, and 16 are posted";
  EXPECT_EQ(ring.cursor.enqueue_end, EnqueueEnd::few_buffers);
  EXPECT_EQ(ring.count(VringCounter::stall_few_buffers), 1U);
  EXPECT_EQ(ring.enqueue({small}), 1) << "what stands behind it fits";
  for (int i = 0; i < 16; ++i) ring.driver.chain().writable(2048).publish();
  EXPECT_EQ(ring.enqueue({large, small, small}), 2);
  EXPECT_EQ(ring.cursor.enqueue_end, EnqueueEnd::no_buffers);
  EXPECT_EQ(ring.count(VringCounter::stall_no_buffer), 1U);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 0U);
  const auto got = receive(ring);
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(got[1].packet, pattern(60000));
}

/// TCP over IPv4: 250 segments of 100 bytes, left to the library.
Bytes tcp_in_250_segments() {
  Bytes bytes = pattern(54 + 25000);
  const Bytes headers{0x08, 0x00, 0x45, 0, 0x61, 0xd0, 0, 0, 0, 0, 64, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  std::copy(headers.begin(), headers.end(), bytes.begin() + 12);
  bytes[46] = 0x50;
  return bytes;
}

TEST_P(Enqueue, SegmentsForWhichTooFewBuffersArePosted) {
  if (transferring()) GTEST_SKIP() << "a transfer takes requests from net headers, not from mbufs";
  RingFixture ring(features(), 256);
  ring.transferring = transferring();
  for (int i = 0; i < 230; ++i) ring.driver.chain().writable(256).publish();
  rte_mbuf* const large = packet(tcp_in_250_segments());
  large->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
  large->tso_segsz = 100;
  rte_mbuf* const small = packet(pattern(60));
  EXPECT_EQ(ring.enqueue({large, small}), 0);
  EXPECT_EQ(ring.cursor.enqueue_end, EnqueueEnd::few_buffers);
  EXPECT_EQ(ring.enqueue({small}), 1);
  for (int i = 0; i < 21; ++i) ring.driver.chain().writable(256).publish();
  EXPECT_EQ(ring.enqueue({large}), 1);
  EXPECT_EQ(ring.count(VringCounter::segmented), 1U);
  EXPECT_EQ(receive(ring).size(), 251U);
}

TEST_P(Enqueue, LongBurstsKeepTheirOrder) {
  RingFixture ring(features(), 128);
  ring.transferring = transferring();
  std::vector<rte_mbuf*> burst;
  for (std::uint8_t i = 0; i < 100; ++i) {
    auto chain = ring.driver.chain();
    if (i % 7 == 3) chain.indirect();
    chain.writable(500).publish();
    burst.push_back(packet(pattern(60U + i, i), i % 5 == 2 ? 33 : 65535));
  }
  EXPECT_EQ(ring.enqueue(burst), 100);
  const auto got = receive(ring);
  ASSERT_EQ(got.size(), 100U);
  for (std::uint8_t i = 0; i < 100; ++i) EXPECT_EQ(got[i].packet, pattern(60U + i, i)) << int{i};
}

TEST_P(Enqueue, TheMtuHolds) {
  RingFixture ring(features());
  ring.transferring = transferring();
  ring.frame_max = 1522;
  for (int i = 0; i < 2; ++i) ring.driver.chain().writable(4000).publish();
  EXPECT_EQ(ring.enqueue({packet(pattern(1523)), packet(pattern(1522)), packet(pattern(1523), 100)}), 3);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 2U);
  EXPECT_EQ(receive(ring).size(), 1U);
}

TEST_P(Enqueue, ReadableBuffersAreNeverWritten) {
  RingFixture ring(features());
  ring.transferring = transferring();
  ring.driver.chain().readable(pattern(200)).publish();
  EXPECT_EQ(ring.enqueue({packet(pattern(60))}), 0);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::wrong_direction);
}

TEST_P(Enqueue, BuffersOutsideMemory) {
  RingFixture ring(features());
  ring.transferring = transferring();
  ring.driver.chain().writable(200).publish();
  ring.driver.chain().raw(0, 200, virtqueue::Descriptor::write_flag).publish();
  EXPECT_EQ(ring.enqueue({packet(pattern(60)), packet(pattern(60))}), 1);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::outside_memory);
  EXPECT_EQ(receive(ring).size(), 1U);
}

// CVE-2026-86566: receive buffers that cannot even hold the header.
TEST_P(Enqueue, BuffersOfOneByteAreGivenBack) {
  RingFixture ring(features());
  ring.transferring = transferring();
  for (int i = 0; i < 8; ++i) ring.driver.chain().writable(1).publish();
  ring.driver.chain().writable(200).publish();
  EXPECT_EQ(ring.enqueue({packet(pattern(60))}), 1);
  EXPECT_EQ(ring.count(VringCounter::short_buffers), 8U);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 9U);
  EXPECT_EQ(used[0].length, 0U);
  EXPECT_EQ(used[8].length, 60U + header_length(features()));
}

TEST_P(Enqueue, ARingFullOfUselessBuffersDropsWhatItCannotTake) {
  RingFixture ring(features(), 4);
  ring.transferring = transferring();
  for (int i = 0; i < 4; ++i) ring.driver.chain().writable(1).publish();
  EXPECT_EQ(ring.enqueue({packet(pattern(60)), packet(pattern(60))}), 2);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 2U);
  EXPECT_EQ(ring.count(VringCounter::short_buffers), 0U);  // nothing was given back
}

TEST_P(Enqueue, BadHeadsArePassedOver) {
  VHOSTX_SPLIT_RINGS_ONLY;
  RingFixture ring(features());
  ring.transferring = transferring();
  ring.driver.publish_head(64);
  ring.driver.chain().writable(200).publish();
  EXPECT_EQ(ring.enqueue({packet(pattern(60))}), 1);
  EXPECT_EQ(ring.count(VringCounter::drop_bad_head), 1U);
}

TEST_P(Enqueue, AnMbufChainShorterThanItSaysIsDropped) {
  if (transferring()) GTEST_SKIP() << "there is no mbuf chain";
  RingFixture ring(features());
  ring.transferring = transferring();
  ring.driver.chain().writable(500).publish();
  rte_mbuf* liar = packet(pattern(60), 30);
  liar->pkt_len += 10;
  EXPECT_EQ(ring.enqueue({liar}), 1);
  EXPECT_EQ(ring.count(VringCounter::drop_bad_offload), 1U);
  EXPECT_TRUE(receive(ring).empty());
  liar->pkt_len -= 10;
}

TEST_P(Enqueue, ABufferOverABorderOfRegions) {
  RingFixture ring(features(), 8, {{0x1'0000, 0x1'0000}, {0x2'0000, 0x1'0000}});
  ring.transferring = transferring();
  const Bytes bytes = pattern(100);
  for (std::uint64_t before = 1; before < 112; ++before) {
    ring.driver.chain().raw(0x2'0000 - before, 200, virtqueue::Descriptor::write_flag).publish();
    ASSERT_EQ(ring.enqueue({packet(bytes)}), 1);
    const auto used = ring.driver.reap();
    ASSERT_EQ(used.size(), 1U);
    Bytes got;
    for (std::uint64_t i = 0; i < bytes.size(); ++i)
      got.push_back(*ring.guest.at(0x2'0000 - before + header_length(features()) + i));
    ASSERT_EQ(got, bytes) << before;
    if (header_length(features()) == header_length_full) {
      EXPECT_EQ(*ring.guest.at(0x2'0000 - before + 10), 1);
      EXPECT_EQ(*ring.guest.at(0x2'0000 - before + 11), 0);
    }
  }
}

TEST(EnqueuePlain, WhatABufferCannotHoldIsDropped) {
  for (const std::uint64_t features : {plain, legacy}) {
    RingFixture ring(features);
    rte_mbuf* large = make_packet(test_pool(), pattern(500));
    rte_mbuf* small = make_packet(test_pool(), pattern(60));
    ring.driver.chain().writable(100).publish();
    EXPECT_EQ(ring.enqueue({large, small}), 2);
    EXPECT_EQ(ring.count(VringCounter::drop_too_large), 1U);
    const auto used = ring.driver.reap();
    ASSERT_EQ(used.size(), 1U);
    EXPECT_EQ(used[0].length, 60U + header_length(features));
    rte_pktmbuf_free(large);
    rte_pktmbuf_free(small);
  }
}

// Each segment takes a chain: the ring can never hold this packet, however long the application waits.
TEST(EnqueuePlain, MoreSegmentsThanTheRingHasIsTooLarge) {
  RingFixture ring(plain, 16);
  for (int i = 0; i < 4; ++i) ring.driver.chain().writable(1600).publish();
  rte_mbuf* packet = make_packet(test_pool(), test::make_packet(test::PacketShape{.payload = 1700}).bytes);
  packet->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
  packet->tso_segsz = 100;
  EXPECT_EQ(ring.enqueue({packet}), 1);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 1U);
  packet->tso_segsz = 425;  // four segments, four buffers
  EXPECT_EQ(ring.enqueue({packet}), 1);
  EXPECT_EQ(ring.count(VringCounter::segmented), 1U);
  EXPECT_EQ(ring.driver.reap().size(), 4U);
  rte_pktmbuf_free(packet);
}

TEST(EnqueueMergeable, APacketOverManyBuffers) {
  RingFixture ring(mergeable, 256);
  const Bytes bytes = pattern(65535);
  rte_mbuf* packet = make_packet(test_pool(), bytes);
  for (int i = 0; i < 60; ++i) ring.driver.chain().writable(1500).publish();
  EXPECT_EQ(ring.enqueue({packet}), 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 44U);  // (12 + 65535) / 1500, rounded up
  Bytes all;
  for (const auto& one : used) all = join(all, ring.driver.bytes_of(one));
  EXPECT_EQ(all[10], 44);
  EXPECT_EQ(Bytes(all.begin() + 12, all.end()), bytes);
  rte_pktmbuf_free(packet);
}

TEST(EnqueueMergeable, AllOrNothing) {
  RingFixture ring(mergeable, 64);
  rte_mbuf* packet = make_packet(test_pool(), pattern(3000));
  for (int i = 0; i < 2; ++i) ring.driver.chain().writable(1500).publish();
  EXPECT_EQ(ring.enqueue({packet}), 0);
  EXPECT_TRUE(ring.driver.reap().empty());
  ring.driver.chain().writable(1500).publish();
  EXPECT_EQ(ring.enqueue({packet}), 1);
  EXPECT_EQ(ring.driver.reap().size(), 3U);
  rte_pktmbuf_free(packet);
}

TEST(EnqueueMergeable, WhatAFullRingCannotHoldIsDropped) {
  RingFixture ring(mergeable, 4);
  rte_mbuf* packet = make_packet(test_pool(), pattern(3000));
  for (int i = 0; i < 4; ++i) ring.driver.chain().writable(100).publish();
  EXPECT_EQ(ring.enqueue({packet}), 1);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 1U);
  EXPECT_TRUE(ring.driver.reap().empty());
  rte_pktmbuf_free(packet);
}

}  // namespace
}  // namespace vhostx::net
