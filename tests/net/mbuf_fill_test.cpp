// SPDX-License-Identifier: BSD-3-Clause
// Mbufs that dequeue makes are those that rte_pktmbuf_alloc() and append would have made, whatever their last user did.
#include "net/mbuf_fill.hpp"

#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/net/ring_fixture.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::header_bytes;
using test::join;
using test::mergeable;
using test::pattern;
using test::RingFixture;

/// All that an mbuf says of itself and its packet. Not here, because nothing in ol_flags says that they are set, and
/// drivers that take mbufs raw do not write them either: hash, vlan_tci_outer, tx_offload.
auto fields(const rte_mbuf& mbuf) {
  return std::make_tuple(mbuf.buf_addr, rte_mbuf_iova_get(&mbuf), mbuf.data_off, rte_mbuf_refcnt_read(&mbuf),
                         mbuf.nb_segs, mbuf.port, mbuf.ol_flags, mbuf.packet_type, mbuf.pkt_len, mbuf.data_len,
                         mbuf.vlan_tci, mbuf.buf_len, mbuf.pool, mbuf.next, mbuf.shinfo, mbuf.priv_size);
}

/// What a user may leave behind when it frees an mbuf.
void free_dirty(rte_mbuf* mbuf) {
  rte_pktmbuf_adj(mbuf, 14);
  mbuf->port = 3;
  mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_LRO;
  mbuf->packet_type = ~0U;
  mbuf->vlan_tci = 0xffff;
  mbuf->vlan_tci_outer = 0xffff;
  mbuf->hash.rss = ~0U;
  mbuf->tx_offload = ~std::uint64_t{0};
  rte_pktmbuf_free(mbuf);
}

/// A pool of one mbuf: the same one each time.
rte_mempool* pool_of_one() { return test::test_pool(2048, 1); }

rte_mbuf* reference(rte_mempool* pool, std::size_t length) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
  EXPECT_NE(mbuf, nullptr);
  EXPECT_NE(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(length)), nullptr);
  return mbuf;
}

rte_mbuf* dequeue_one(RingFixture& ring, rte_mempool* pool) {
  rte_mbuf* mbuf = nullptr;
  EXPECT_EQ(net::dequeue(ring.context(), pool, &mbuf, 1).packets, 1);
  ring.driver.reap();
  return mbuf;
}

class MbufFill : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  Bytes with_header(const Bytes& packet) const { return join(header_bytes(GetParam()), packet); }

  /// The ways that a packet of one segment takes through dequeue.
  void send(int way, const Bytes& packet) {
    const Bytes whole = with_header(packet);
    auto chain = ring.driver.chain();
    if (way == 1 || way == 3) chain.indirect();
    if (way < 2) {
      chain.readable(whole);
    } else if (way < 4) {
      chain.readable(header_bytes(GetParam())).readable(packet);
    } else {
      chain.readable(std::span(whole).first(20)).readable(std::span(whole).subspan(20));
    }
    chain.publish();
  }
  static constexpr int ways = 5;

  RingFixture ring{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Headers, MbufFill, ::testing::Values(mergeable, std::uint64_t{0}));

TEST_P(MbufFill, EveryFieldIsThatOfAFreshMbuf) {
  for (int way = 0; way < ways; ++way)
    for (const std::size_t length : {14U, 60U, 1514U, 2048U}) {
      free_dirty(reference(pool_of_one(), 100));
      rte_mbuf* fresh = reference(pool_of_one(), length);
      const auto expected = fields(*fresh);
      free_dirty(fresh);
      send(way, pattern(length));
      rte_mbuf* mbuf = dequeue_one(ring, pool_of_one());
      ASSERT_NE(mbuf, nullptr);
      EXPECT_TRUE(fields(*mbuf) == expected) << "way " << way << ", length " << length;
      EXPECT_EQ(mbuf->hash.rss, 0U);
      EXPECT_EQ(test::bytes_of(mbuf), pattern(length));
      rte_pktmbuf_free(mbuf);
    }
}

// An mbuf that a refused packet was written to already is used again for the next.
TEST_P(MbufFill, NothingStaysOfADroppedPacket) {
  VirtioNetHeader lie;
  lie.flags = header_needs_csum;
  for (int way = 0; way < ways; ++way) {
    rte_mbuf* fresh = reference(pool_of_one(), 60);
    const auto expected = fields(*fresh);
    free_dirty(fresh);
    ring.driver.chain().readable(join(header_bytes(GetParam(), lie), pattern(900))).publish();
    ring.driver.chain().readable(header_bytes(GetParam(), lie)).readable(pattern(900)).publish();
    send(way, pattern(60));
    rte_mbuf* mbuf = nullptr;
    for (int burst = 0; burst < 3 && mbuf == nullptr; ++burst) net::dequeue(ring.context(), pool_of_one(), &mbuf, 1);
    ring.driver.reap();
    ASSERT_NE(mbuf, nullptr);
    EXPECT_TRUE(fields(*mbuf) == expected) << way;
    EXPECT_EQ(test::bytes_of(mbuf), pattern(60));
    rte_pktmbuf_free(mbuf);
  }
}

// What goes back to the pool unused is as a pool hands it out (DPDK: rte_mbuf_raw_alloc asserts this).
TEST_P(MbufFill, WhatWasNotNeededGoesBackAsItCame) {
  rte_mempool* pool = test::test_pool(2048, 40);
  for (int round = 0; round < 3; ++round) {
    ring.driver.chain().readable(pattern(5)).publish();  // too short, found out by the general way
    ring.driver.chain().readable(with_header(pattern(60))).publish();
    ring.driver.chain().readable(header_bytes(GetParam())).raw(0, 10).publish();  // breaks the ring after three mbufs
    ring.driver.chain().readable(with_header(pattern(60))).publish();
    EXPECT_EQ(ring.dequeue(32, pool).size(), 1U);
    EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
    rte_mempool_obj_iter(
        pool,
        [](rte_mempool*, void*, void* object, unsigned) {
          const auto* mbuf = static_cast<const rte_mbuf*>(object);
          EXPECT_EQ(rte_mbuf_refcnt_read(mbuf), 1);
          EXPECT_EQ(mbuf->nb_segs, 1U);
          EXPECT_EQ(mbuf->next, nullptr);
        },
        nullptr);
    ring.cursor.fault = {};
    ring.driver.reap();
    ring.cursor.position.avail_next = ring.driver.end();
  }
}

TEST(MbufTemplate, PoolsWithLittleRoom) {
  test::start_eal();
  for (const int room : {-100, -1, 0, 1, 13, 14}) {
    const auto data_room = static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + room);
    rte_mempool* pool =
        rte_pktmbuf_pool_create(("little" + std::to_string(room + 200)).c_str(), 3, 0, 0, data_room, SOCKET_ID_ANY);
    ASSERT_NE(pool, nullptr);
    const MbufTemplate fresh(pool);
    EXPECT_EQ(fresh.room(), static_cast<std::uint32_t>(std::max(room, 0)));
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
    ASSERT_NE(mbuf, nullptr);
    const auto data_offset = mbuf->data_off;
    EXPECT_EQ(fresh.room(), rte_pktmbuf_tailroom(mbuf));
    fresh.apply(mbuf, fresh.room());
    EXPECT_EQ(mbuf->data_off, data_offset);
    EXPECT_EQ(fresh.data(mbuf), rte_pktmbuf_mtod(mbuf, const std::uint8_t*));
    rte_pktmbuf_free(mbuf);

    RingFixture ring;
    ring.driver.chain().readable(join(header_bytes(ring.features), pattern(14))).publish();
    const auto packets = ring.dequeue(4, pool);
    const bool fits = room * 3 >= 14;  // three segments are all that there are
    EXPECT_EQ(packets.size(), fits ? 1U : 0U) << room;
    rte_mempool_free(pool);
  }
}

// Mbufs of a pool with pinned external buffers stay attached for life: the flag is part of a fresh one.
TEST(MbufTemplate, PinnedExternalBuffers) {
  test::start_eal();
  constexpr std::uint16_t element = 2048 + RTE_PKTMBUF_HEADROOM;
  alignas(64) static std::uint8_t memory[8 * element];
  const rte_pktmbuf_extmem external{memory, RTE_BAD_IOVA, sizeof memory, element};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // DPDK 22.11 calls it experimental
  rte_mempool* pool = rte_pktmbuf_pool_create_extbuf("pinned", 1, 0, 0, element, SOCKET_ID_ANY, &external, 1);
#pragma GCC diagnostic pop
  ASSERT_NE(pool, nullptr);
  rte_mbuf* fresh = reference(pool, 60);
  const auto expected = fields(*fresh);
  free_dirty(fresh);
  RingFixture ring;
  ring.driver.chain().readable(join(header_bytes(ring.features), pattern(60))).publish();
  rte_mbuf* mbuf = dequeue_one(ring, pool);
  ASSERT_NE(mbuf, nullptr);
  EXPECT_TRUE(fields(*mbuf) == expected);
  EXPECT_TRUE(RTE_MBUF_HAS_PINNED_EXTBUF(mbuf));
  rte_pktmbuf_free(mbuf);
  EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
  rte_mempool_free(pool);
}

}  // namespace
}  // namespace vhostx::net
