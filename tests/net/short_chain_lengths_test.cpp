// SPDX-License-Identifier: BSD-3-Clause
// Lengths of short chains: around the net header, the smallest packet and the largest, and of what a buffer holds.
#include <gtest/gtest.h>

#include "tests/net/ring_fixture.hpp"

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

class ShortChainLengths : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Headers, ShortChainLengths, ::testing::Values(mergeable, plain, legacy));

// From the guest, every length around header and smallest packet, in all four kinds of short chains.
TEST_P(ShortChainLengths, AroundTheSmallestPacket) {
  const std::uint16_t header = header_length(GetParam());
  for (std::uint32_t first = 0; first < 30; ++first)
    for (std::uint32_t second = 0; second < 30; ++second)
      for (int kind = 0; kind < 4; ++kind) {
        if (kind < 2 && second != 0) continue;
        RingFixture ring(GetParam(), 8);
        auto chain = ring.driver.chain();
        if (kind % 2 == 1) chain.indirect();
        const Bytes bytes = join(Bytes(header), pattern(60));
        chain.readable(std::span(bytes).first(first));
        if (kind >= 2) chain.readable(std::span(bytes).subspan(first, second));
        const std::uint16_t head = chain.publish();
        const std::uint32_t whole = first + second;
        const bool good = whole >= header + 14U;
        const auto packets = ring.dequeue();
        ASSERT_EQ(packets.size(), good ? 1U : 0U) << first << " " << second << " " << kind;
        if (good) {
          ASSERT_EQ(packets[0], Bytes(bytes.begin() + header, bytes.begin() + whole));
        }
        ASSERT_EQ(ring.count(VringCounter::drop_short_chain), good ? 0U : 1U);
        const auto used = ring.driver.reap();
        ASSERT_EQ(used.size(), 1U);
        ASSERT_EQ(used[0].head, head);
      }
}

TEST_P(ShortChainLengths, AroundTheLargestPacket) {
  rte_mempool* pool = rte_pktmbuf_pool_create("large", 15, 0, 0, 65535, SOCKET_ID_ANY);  // one mbuf holds most of them
  ASSERT_NE(pool, nullptr);
  const std::uint16_t header = header_length(GetParam());
  for (const std::uint32_t length :
       {65535U - 128, 65535U - 127, packet_bytes_max, packet_bytes_max + 1, 0xffff'ffffU, 0xffff'fff3U, 0xffff'fff4U})
    for (int kind = 0; kind < 4; ++kind) {
      RingFixture ring(GetParam(), 8);
      const std::uint64_t address = ring.guest.allocate(70000);
      auto chain = ring.driver.chain();
      if (kind % 2 == 1) chain.indirect();
      if (kind >= 2)
        chain.raw(address, header).raw(address + header, length);
      else
        chain.raw(address, header + length);  // wraps to something small where it is huge
      chain.publish();
      const bool wraps = kind < 2 && length > ~0U - header;
      const bool good = length <= packet_bytes_max;
      EXPECT_EQ(ring.dequeue(1, pool).size(), good ? 1U : 0U) << length << " " << kind;
      EXPECT_EQ(ring.count(VringCounter::drop_too_large), good || wraps ? 0U : 1U) << length << " " << kind;
      EXPECT_EQ(ring.driver.reap().size(), 1U);
    }
  EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
  rte_mempool_free(pool);
}

// Segments of one byte: all of them go back with a packet that turns out too short.
TEST_P(ShortChainLengths, TooShortForThePacketInManyMbufs) {
  rte_mempool* pool = rte_pktmbuf_pool_create("tiny", 31, 0, 0, RTE_PKTMBUF_HEADROOM + 1, SOCKET_ID_ANY);
  ASSERT_NE(pool, nullptr);
  RingFixture ring(GetParam(), 8);
  ring.driver.chain().readable(Bytes(header_length(GetParam()) + 13U)).publish();
  ring.driver.chain().readable(Bytes(header_length(GetParam()) + 14U)).publish();
  EXPECT_EQ(ring.dequeue(2, pool), std::vector<Bytes>{Bytes(14)});
  EXPECT_EQ(ring.count(VringCounter::drop_short_chain), 1U);
  EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
  rte_mempool_free(pool);
}

// What asks for something is no straight path's, whether it comes alone or with others.
TEST_P(ShortChainLengths, RequestsAreLookedAtInBurstsOfEverySize) {
  for (const std::size_t count : {1U, 2U, 33U}) {
    RingFixture ring(GetParam(), 64);
    std::vector<rte_mbuf*> packets;
    for (std::size_t i = 0; i < count; ++i) {
      ring.driver.chain().writable(200).publish();
      packets.push_back(make_packet(test::test_pool(), pattern(60)));
      packets.back()->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG;  // makes no sense
    }
    ASSERT_TRUE(ring.memory->translate(memory::GuestAddress{0x4000'0000}, 1, ring.cursor.hint));
    EXPECT_EQ(ring.enqueue(packets), count);
    EXPECT_EQ(ring.count(VringCounter::drop_bad_offload), count);
    EXPECT_TRUE(ring.driver.reap().empty());
    for (rte_mbuf* packet : packets) rte_pktmbuf_free(packet);
  }
}

// To the guest: a buffer that just holds the packet, and one that is a byte too small.
TEST_P(ShortChainLengths, ABufferThatJustHoldsThePacket) {
  const std::uint16_t header = header_length(GetParam());
  for (const std::uint32_t missing : {0U, 1U})
    for (int kind = 0; kind < 4; ++kind) {
      RingFixture ring(GetParam(), 8);
      for (int i = 0; i < 2; ++i) {
        auto chain = ring.driver.chain();
        if (kind % 2 == 1) chain.indirect();
        if (kind >= 2)
          chain.writable(header).writable(100 - missing);
        else
          chain.writable(header + 100 - missing);
        chain.publish();
      }
      rte_mbuf* packet = make_packet(test::test_pool(), pattern(100));
      EXPECT_EQ(ring.enqueue({packet}), 1);
      rte_pktmbuf_free(packet);
      const auto used = ring.driver.reap();
      if (missing == 1 && GetParam() != mergeable) {
        EXPECT_TRUE(used.empty());
        EXPECT_EQ(ring.count(VringCounter::drop_too_large), 1U);
        continue;
      }
      ASSERT_EQ(used.size(), 1 + missing) << kind;
      EXPECT_EQ(used[0].length, header + 100 - missing);
      const Bytes got = ring.driver.bytes_of(used[0]);
      EXPECT_EQ(Bytes(got.begin() + header, got.end()), [&] {
        Bytes all = pattern(100);
        all.resize(100 - missing);
        return all;
      }());
    }
}

}  // namespace
}  // namespace vhostx::net
