// SPDX-License-Identifier: BSD-3-Clause
// Guest to host: legal but odd chains are delivered byte for byte, lies cost the vring and nothing else.
#include <algorithm>
#include <tuple>

#include <gtest/gtest.h>

#include "net/rarp.hpp"
#include "tests/net/ring_fixture.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::header_bytes;
using test::join;
using test::legacy;
using test::mergeable;
using test::pattern;
using test::RingFixture;
using virtqueue::Descriptor;

/// Features, and whether a transfer's halves do it.
class Dequeue : public ::testing::TestWithParam<std::tuple<std::uint64_t, bool>> {
 protected:
  Dequeue() { ring_.transferring = transferring(); }
  static std::uint64_t features() { return std::get<0>(GetParam()); }
  static bool transferring() { return std::get<1>(GetParam()); }
  Bytes with_header(const Bytes& packet) { return join(header_bytes(features()), packet); }

  RingFixture ring_{features()};
};
INSTANTIATE_TEST_SUITE_P(Headers, Dequeue,
                         ::testing::Combine(::testing::Values(mergeable, feature_version_1, legacy),
                                            ::testing::Bool()));

TEST_P(Dequeue, OneDescriptorForHeaderAndPacket) {
  const Bytes packet = pattern(64);
  ring_.driver.chain().readable(with_header(packet)).publish();
  EXPECT_EQ(ring_.dequeue(), std::vector<Bytes>{packet});
  const auto used = ring_.driver.reap();
  ASSERT_EQ(used.size(), 1U);
  EXPECT_EQ(used[0].length, 0U);  // nothing was written
  EXPECT_EQ(ring_.count(VringCounter::packets), 1U);
  EXPECT_EQ(ring_.count(VringCounter::bytes), 64U);
}

TEST_P(Dequeue, HeaderAndPacketApart) {
  const Bytes packet = pattern(1500);
  ring_.driver.chain().readable(header_bytes(features())).readable(packet).publish();
  ring_.driver.chain().indirect().readable(header_bytes(features())).readable(packet).publish();
  EXPECT_EQ(ring_.dequeue(), (std::vector<Bytes>{packet, packet}));
}

// VIRTIO 1.2, 2.7.4: nothing may be assumed of where buffers are cut.
TEST_P(Dequeue, CutAnywhereIntoThree) {
  const Bytes packet = pattern(40);
  const Bytes whole = with_header(packet);
  for (std::size_t first = 0; first <= whole.size(); first += 3) {
    for (std::size_t second = first; second <= whole.size(); second += 5) {
      const std::span<const std::uint8_t> all(whole);
      ring_.driver.chain()
          .readable(all.first(first))
          .readable(all.subspan(first, second - first))
          .readable(all.subspan(second))
          .publish();
      ASSERT_EQ(ring_.dequeue(), std::vector<Bytes>{packet}) << first << " " << second;
      ring_.driver.reap();
    }
  }
}

TEST_P(Dequeue, APieceAByte) {
  const Bytes packet = pattern(30);
  auto chain = ring_.driver.chain();
  for (const std::uint8_t byte : with_header(packet)) chain.readable({&byte, 1});
  chain.publish();
  EXPECT_EQ(ring_.dequeue(), std::vector<Bytes>{packet});
}

TEST_P(Dequeue, PacketsLargerThanAnMbufBecomeChains) {
  for (const std::size_t length : {2048U, 2049U, 9000U, 65549U}) {
    const Bytes packet = pattern(length);
    ring_.driver.chain().readable(with_header(packet)).publish();
    ASSERT_EQ(ring_.dequeue(), std::vector<Bytes>{packet}) << length;
    ring_.driver.reap();
  }
}

TEST_P(Dequeue, ManyInOrder) {
  std::vector<Bytes> sent;
  for (std::uint16_t i = 0; i < 64; ++i) {
    sent.push_back(pattern(static_cast<std::size_t>(60 + i), static_cast<std::uint8_t>(i)));
    auto chain = ring_.driver.chain();
    if (i % 3 == 1) chain.indirect();
    chain.readable(with_header(sent.back())).publish();
  }
  EXPECT_EQ(ring_.dequeue(64), sent);
  EXPECT_EQ(ring_.driver.reap().size(), 64U);
}

TEST_P(Dequeue, NoMoreThanAsked) {
  for (int i = 0; i < 5; ++i) ring_.driver.chain().readable(with_header(pattern(60))).publish();
  EXPECT_EQ(ring_.dequeue(2).size(), 2U);
  EXPECT_EQ(ring_.dequeue(64).size(), 3U);
  EXPECT_TRUE(ring_.dequeue().empty());
}

TEST_P(Dequeue, ChainsTooShortAreDroppedAndTheRestFlows) {
  const std::size_t header = header_length(features());
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, header - 1, header, header + 1, header + 13})
    ring_.driver.chain().readable(pattern(length)).publish();
  ring_.driver.chain().readable(with_header(pattern(14))).publish();
  EXPECT_EQ(ring_.dequeue(), std::vector<Bytes>{pattern(14)});
  EXPECT_EQ(ring_.count(VringCounter::drop_short_chain), 6U);
  EXPECT_EQ(ring_.driver.reap().size(), 7U);
}

TEST_P(Dequeue, TooLargeIsDropped) {
  const std::uint64_t address = ring_.guest.allocate(4 << 20);
  ring_.driver.chain().readable(header_bytes(features())).raw(address, 4 << 20).publish();
  ring_.driver.chain().readable(header_bytes(features())).raw(address, packet_bytes_max + 1).publish();
  ring_.driver.chain().readable(header_bytes(features())).raw(address, 40000).raw(address, 40000).publish();
  ring_.driver.chain().readable(with_header(pattern(60))).publish();
  EXPECT_EQ(ring_.dequeue(), std::vector<Bytes>{pattern(60)});
  EXPECT_EQ(ring_.count(VringCounter::drop_too_large), 3U);
  EXPECT_EQ(ring_.driver.reap().size(), 4U);
}

TEST_P(Dequeue, AHeaderThatLiesCostsItsPacket) {
  VirtioNetHeader lie;
  lie.flags = header_needs_csum;  // CSUM was not negotiated
  const Bytes packet = pattern(60);
  ring_.driver.chain().readable(join(header_bytes(features(), lie), packet)).publish();
  ring_.driver.chain().readable(header_bytes(features(), lie)).readable(packet).publish();
  ring_.driver.chain().readable(with_header(packet)).publish();
  EXPECT_EQ(ring_.dequeue(), std::vector<Bytes>{packet});
  EXPECT_EQ(ring_.count(VringCounter::drop_bad_header), 2U);
  EXPECT_EQ(ring_.driver.reap().size(), 3U);
}

TEST_P(Dequeue, ALieInAChainBreaksTheRingAfterWhatCameBefore) {
  ring_.driver.chain().readable(with_header(pattern(60))).publish();
  const std::uint16_t liar = ring_.driver.chain().readable(with_header(pattern(60))).raw(0, 10).publish();
  ring_.driver.chain().readable(with_header(pattern(60))).publish();
  EXPECT_EQ(ring_.dequeue().size(), 1U);
  EXPECT_EQ(ring_.cursor.fault.cause, VringFaultCause::outside_memory);
  EXPECT_EQ(ring_.cursor.fault.head, liar);
  EXPECT_EQ(ring_.driver.reap().size(), 1U);
}

TEST_P(Dequeue, WritableBuffersAreNeverForwarded) {
  ring_.driver.chain().writable(100).publish();
  EXPECT_TRUE(ring_.dequeue().empty());
  EXPECT_EQ(ring_.cursor.fault.cause, VringFaultCause::wrong_direction);
}

TEST_P(Dequeue, GoodPacketsFlowAroundBadHeads) {
  VHOSTX_SPLIT_RINGS_ONLY;
  ring_.driver.publish_head(64);
  ring_.driver.chain().readable(with_header(pattern(60))).publish();
  ring_.driver.publish_head(65535);
  ring_.driver.chain().readable(with_header(pattern(61))).publish();
  EXPECT_EQ(ring_.dequeue(), (std::vector<Bytes>{pattern(60), pattern(61)}));
  EXPECT_EQ(ring_.count(VringCounter::drop_bad_head), 2U);
  EXPECT_EQ(ring_.cursor.fault.cause, VringFaultCause::none);
}

TEST_P(Dequeue, AnEmptyPoolLosesNothing) {
  rte_mempool* pool = test::test_pool(2048, 7);
  std::vector<rte_mbuf*> held;
  while (rte_mbuf* mbuf = rte_pktmbuf_alloc(pool)) held.push_back(mbuf);
  ASSERT_FALSE(held.empty());
  const Bytes large = pattern(5000);  // three mbufs
  ring_.driver.chain().readable(with_header(pattern(60))).publish();
  ring_.driver.chain().readable(with_header(large)).publish();
  EXPECT_TRUE(ring_.dequeue(64, pool).empty());
  for (int freed = 0; freed < 3; ++freed) {
    rte_pktmbuf_free(held.back());
    held.pop_back();
  }
  EXPECT_EQ(ring_.dequeue(64, pool), std::vector<Bytes>{pattern(60)});
  // What went back without being used is as a pool hands it out (DPDK: rte_mbuf_raw_alloc).
  rte_mempool_obj_iter(
      pool,
      [](rte_mempool*, void*, void* object, unsigned) {
        const auto* mbuf = static_cast<const rte_mbuf*>(object);
        EXPECT_EQ(mbuf->nb_segs, 1U);
        EXPECT_EQ(mbuf->next, nullptr);
      },
      nullptr);
  EXPECT_EQ(ring_.dequeue(64, pool), std::vector<Bytes>{large});
  if (!transferring()) {
    EXPECT_GE(ring_.count(VringCounter::stall_no_mbuf), 2U);
  }
  for (rte_mbuf* mbuf : held) rte_pktmbuf_free(mbuf);
  EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
}

TEST_P(Dequeue, MbufsAreAsAReceiveBurstMakesThem) {
  // An mbuf that comes back dirty from its last user must not show it.
  rte_mempool* pool = test::test_pool(2048, 3);
  for (int round = 0; round < 4; ++round) {
    ring_.driver.chain().readable(with_header(pattern(60))).publish();
    rte_mbuf* mbuf = nullptr;
    ASSERT_EQ(net::dequeue(ring_.context(), pool, &mbuf, 1).packets, 1);
    EXPECT_EQ(mbuf->ol_flags, 0U);
    EXPECT_EQ(mbuf->packet_type, 0U);
    EXPECT_EQ(mbuf->vlan_tci, 0U);
    EXPECT_EQ(mbuf->data_off, RTE_PKTMBUF_HEADROOM);
    EXPECT_EQ(mbuf->nb_segs, 1U);
    EXPECT_EQ(mbuf->next, nullptr);
    EXPECT_EQ(mbuf->port, RTE_MBUF_PORT_INVALID);
    EXPECT_EQ(rte_mbuf_refcnt_read(mbuf), 1);
    mbuf->ol_flags = RTE_MBUF_F_TX_IPV4;
    mbuf->packet_type = 5;
    mbuf->vlan_tci = 7;
    mbuf->port = 3;
    rte_pktmbuf_adj(mbuf, 20);
    rte_pktmbuf_free(mbuf);
    ring_.driver.reap();
  }
}

TEST_P(Dequeue, APacketOverABorderOfRegions) {
  RingFixture ring(features(), 8, {{0x1'0000, 0x1'0000}, {0x2'0000, 0x1'0000}});
  ring.transferring = transferring();
  const Bytes packet = pattern(100);
  const Bytes whole = with_header(packet);
  for (std::uint64_t before = 1; before < whole.size(); ++before) {
    const std::uint64_t start = 0x2'0000 - before;
    for (std::size_t i = 0; i < whole.size(); ++i) *ring.guest.at(start + i) = whole[i];
    ring.driver.chain().raw(start, static_cast<std::uint32_t>(whole.size())).publish();
    ASSERT_EQ(ring.dequeue(), std::vector<Bytes>{packet}) << before;
    ring.driver.reap();
  }
}

// RFC 903: everybody shall know by which port this address is reached now.
TEST(Rarp, SpeaksForTheGuest) {
  test::start_eal();
  rte_mbuf* frame = make_rarp(test::test_pool(), {0x52, 0x54, 0x00, 0x12, 0x34, 0x56});
  ASSERT_NE(frame, nullptr);
  Bytes expected{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x80, 0x35,
                 0,    1,    8,    0,    6,    4,    0,    3,    0x52, 0x54, 0x00, 0x12, 0x34, 0x56,
                 0,    0,    0,    0,    0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0,    0,    0,    0};
  expected.resize(60);
  EXPECT_EQ(test::bytes_of(frame), expected);
  rte_pktmbuf_free(frame);
}

TEST(Drain, GivesEverythingBack) {
  RingFixture ring;
  for (int i = 0; i < 40; ++i) ring.driver.chain().readable(pattern(72)).publish();
  drop_available(ring.context());
  EXPECT_EQ(ring.driver.reap().size(), 40U);
  EXPECT_EQ(ring.count(VringCounter::drop_disabled), 40U);
  EXPECT_TRUE(ring.dequeue().empty());
}

}  // namespace
}  // namespace vhostx::net
