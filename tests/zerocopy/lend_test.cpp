// SPDX-License-Identifier: BSD-3-Clause
// Guest to host without a copy.
#include <algorithm>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "tests/zerocopy/loan_fixture.hpp"

namespace vhostx::test {
namespace {

using Heads = std::vector<std::uint32_t>;

Heads heads_of(const std::vector<UsedElement>& used) {
  Heads heads;
  for (const auto& element : used) heads.push_back(element.head);
  return heads;
}

TEST(Lend, ALargePacketStaysWhereTheGuestWroteIt) {
  LoanFixture ring;
  const Bytes packet = pattern(1500);
  const std::uint16_t head = ring.transmit(packet);
  const auto lent = ring.lend();
  ASSERT_EQ(lent.size(), 1U);
  EXPECT_TRUE(is_lent(lent[0]));
  EXPECT_EQ(bytes_of(lent[0]), packet);
  EXPECT_EQ(lent[0]->nb_segs, 1);
  EXPECT_EQ(rte_pktmbuf_headroom(lent[0]), 0);
  EXPECT_EQ(rte_pktmbuf_tailroom(lent[0]), 0);
  // The very bytes: what the guest writes is seen.
  const std::uint64_t where = ring.driver.first_buffer(head) + 12;
  *ring.guest.at(where) = 0xee;
  EXPECT_EQ(*rte_pktmbuf_mtod(lent[0], std::uint8_t*), 0xee);
  EXPECT_EQ(rte_pktmbuf_iova(lent[0]), reinterpret_cast<std::uintptr_t>(rte_pktmbuf_mtod(lent[0], void*)));
  EXPECT_EQ(ring.count(VringCounter::lent), 1U);
  EXPECT_EQ(ring.count(VringCounter::packets), 1U);
  EXPECT_EQ(ring.count(VringCounter::bytes), 1500U);
  rte_pktmbuf_free(lent[0]);
}

TEST(Lend, TheCallbackIsNowhereThatAGuestCanWrite) {
  LoanFixture ring;
  ring.transmit(pattern(1500));
  const auto lent = ring.lend();
  const auto* shared = reinterpret_cast<const std::uint8_t*>(lent[0]->shinfo);
  for (const auto& region : ring.memory->regions())
    EXPECT_FALSE(shared >= region->host() && shared < region->host() + region->description().size);
  rte_pktmbuf_free(lent[0]);
}

TEST(Lend, TheDriverHasItsBufferBackWhenTheMbufIsFreedAndNotBefore) {
  LoanFixture ring;
  const std::uint16_t head = ring.transmit(pattern(1500));
  const auto lent = ring.lend();
  EXPECT_TRUE(ring.driver.reap().empty());
  EXPECT_EQ(ring.poll(), 0);
  EXPECT_EQ(ring.table->outstanding(), 1U);
  rte_pktmbuf_free(lent[0]);
  EXPECT_TRUE(ring.driver.reap().empty()) << "the owner publishes";
  EXPECT_EQ(ring.poll(), 1);
  EXPECT_EQ(heads_of(ring.driver.reap()), Heads{head});
  EXPECT_EQ(ring.table->outstanding(), 0U);
  EXPECT_EQ(ring.table->oldest(), 0U);
}

TEST(Lend, BuffersComeBackInAnyOrder) {
  LoanFixture ring;
  Heads sent;
  for (int i = 0; i < 6; ++i) sent.push_back(ring.transmit(pattern(600, static_cast<std::uint8_t>(i))));
  const auto lent = ring.lend();
  ASSERT_EQ(lent.size(), 6U);
  for (const std::size_t i : {4U, 0U, 5U}) rte_pktmbuf_free(lent[i]);
  EXPECT_EQ(ring.poll(), 3);
  auto back = heads_of(ring.driver.reap());
  std::sort(back.begin(), back.end());
  Heads expected{sent[0], sent[4], sent[5]};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(back, expected);
  for (const std::size_t i : {1U, 2U, 3U}) rte_pktmbuf_free(lent[i]);
  EXPECT_EQ(ring.poll(), 3);
}

TEST(Lend, TheNextBurstPublishesToo) {
  LoanFixture ring;
  const std::uint16_t first = ring.transmit(pattern(1500));
  rte_pktmbuf_free(ring.lend()[0]);
  const std::uint16_t second = ring.transmit(pattern(60));
  const auto packets = ring.lend();
  EXPECT_FALSE(is_lent(packets[0]));
  rte_pktmbuf_free(packets[0]);
  EXPECT_EQ(heads_of(ring.driver.reap()), (Heads{first, second}));
}

TEST(Lend, SmallPacketsAreCopied) {
  LoanFixture ring;
  for (const std::size_t bytes : {60U, 255U}) ring.transmit(pattern(bytes));
  ring.transmit(pattern(256));
  const auto packets = ring.lend();
  ASSERT_EQ(packets.size(), 3U);
  EXPECT_FALSE(is_lent(packets[0]));
  EXPECT_FALSE(is_lent(packets[1]));
  EXPECT_TRUE(is_lent(packets[2]));
  EXPECT_EQ(bytes_of(packets[1]), pattern(255));
  EXPECT_EQ(ring.count(VringCounter::copied_small), 2U);
  EXPECT_EQ(ring.count(VringCounter::lent), 1U);
  for (rte_mbuf* packet : packets) rte_pktmbuf_free(packet);
}

TEST(Lend, SmallPacketsOneAtATimeAreCountedToo) {
  LoanFixture ring;
  for (int i = 0; i < 3; ++i) {
    ring.transmit(pattern(60));
    const auto packets = ring.lend();
    ASSERT_EQ(packets.size(), 1U);
    rte_pktmbuf_free(packets[0]);
  }
  EXPECT_EQ(ring.count(VringCounter::copied_small), 3U);
}

TEST(Lend, AnApplicationThatHoldsEveryLoanForEverDoesNotStopTheGuest) {
  LoanFixture ring;
  std::vector<rte_mbuf*> held;
  int delivered = 0;
  for (int round = 0; round < 1000; ++round) {
    while (ring.driver.free_descriptors() != 0) ring.transmit_some(500);
    for (rte_mbuf* packet : ring.lend()) {
      ++delivered;
      if (is_lent(packet))
        held.push_back(packet);
      else
        rte_pktmbuf_free(packet);
    }
    ring.driver.reap();
  }
  EXPECT_EQ(held.size(), 32U);  // half of the ring
  EXPECT_GE(delivered, 32 * 1000);
  EXPECT_EQ(ring.count(VringCounter::copied_full), static_cast<std::uint64_t>(delivered) - 32);
  for (rte_mbuf* packet : held) rte_pktmbuf_free(packet);
}

TEST(Lend, WhatAChainOccupiesOfTheRingCounts) {
  LoanFixture ring;
  const Bytes piece = pattern(300);
  std::vector<rte_mbuf*> held;
  for (int i = 0; i < 4; ++i) {  // 16 entries each, of 64
    auto chain = ring.driver.chain();
    chain.readable(join(header_bytes(ring.features), piece));
    for (int k = 1; k < 16; ++k) chain.readable(piece);
    chain.publish();
  }
  for (rte_mbuf* packet : ring.lend()) {
    EXPECT_EQ(packet->pkt_len, 16 * 300U);
    held.push_back(packet);
  }
  ASSERT_EQ(held.size(), 4U);
  EXPECT_EQ(std::count_if(held.begin(), held.end(), is_lent), 2) << "half of the ring's entries, and no more";
  EXPECT_EQ(ring.count(VringCounter::copied_full), 2U);
  for (rte_mbuf* packet : held) rte_pktmbuf_free(packet);
}

TEST(Lend, ARingOfOneIsCopied) {
  LoanFixture ring(usual_net_features, 1);
  ring.transmit(pattern(1500));
  const auto packets = ring.lend();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_FALSE(is_lent(packets[0]));
  rte_pktmbuf_free(packets[0]);
}

TEST(Lend, AChainBecomesAChain) {
  LoanFixture ring;
  const Bytes packet = pattern(4000);
  const auto piece = [&packet](std::size_t begin, std::size_t end) {
    return std::span(packet).subspan(begin, end - begin);
  };
  ring.driver.chain()
      .readable(header_bytes(ring.features))
      .readable(piece(0, 1000))
      .readable(piece(1000, 1300))
      .readable(piece(1300, 4000))
      .publish();
  const auto lent = ring.lend();
  ASSERT_EQ(lent.size(), 1U);
  EXPECT_EQ(lent[0]->nb_segs, 3);
  EXPECT_EQ(bytes_of(lent[0]), packet);
  for (const rte_mbuf* segment = lent[0]; segment != nullptr; segment = segment->next) EXPECT_TRUE(is_lent(segment));
  // One segment is kept for longer: the chain is out until then.
  rte_mbuf* const second = lent[0]->next;
  rte_mbuf* const third = second->next;
  rte_pktmbuf_free_seg(lent[0]);
  rte_pktmbuf_free_seg(third);
  EXPECT_EQ(ring.poll(), 0);
  rte_pktmbuf_free_seg(second);
  EXPECT_EQ(ring.poll(), 1);
}

TEST(Lend, AnIndirectTableAndAHeaderInTwelvePieces) {
  LoanFixture ring;
  const Bytes header = header_bytes(ring.features);
  const Bytes packet = pattern(2000);
  auto chain = ring.driver.chain();
  for (std::size_t i = 0; i < header.size(); ++i) chain.readable(std::span(header).subspan(i, 1));
  chain.readable(packet).indirect().publish();
  const auto lent = ring.lend();
  ASSERT_EQ(lent.size(), 1U);
  EXPECT_TRUE(is_lent(lent[0]));
  EXPECT_EQ(bytes_of(lent[0]), packet);
  rte_pktmbuf_free(lent[0]);
  EXPECT_EQ(ring.poll(), 1);
}

TEST(Lend, MoreBytesThanOneMbufCanDescribe) {
  LoanFixture ring;
  const Bytes packet = pattern(net::packet_bytes_max);
  ring.transmit(packet);
  const auto lent = ring.lend();
  ASSERT_EQ(lent.size(), 1U);
  EXPECT_EQ(lent[0]->nb_segs, 2);
  EXPECT_EQ(bytes_of(lent[0]), packet);
  rte_pktmbuf_free(lent[0]);
  EXPECT_EQ(ring.poll(), 1);
}

TEST(Lend, ABufferOverABorderOfRegions) {
  LoanFixture ring(usual_net_features, 64, {{0x4000'0000, 4 << 20}, {0x4000'0000 + (4 << 20), 4 << 20}});
  const std::uint64_t border = 0x4000'0000 + (4 << 20);
  const Bytes packet = pattern(1500);
  const Bytes whole = join(header_bytes(ring.features), packet);
  const std::uint64_t begin = border - 700;
  for (std::size_t i = 0; i < whole.size(); ++i) *ring.guest.at(begin + i) = whole[i];
  ring.driver.chain().raw(begin, static_cast<std::uint32_t>(whole.size())).publish();
  const auto lent = ring.lend();
  ASSERT_EQ(lent.size(), 1U);
  EXPECT_TRUE(is_lent(lent[0]));
  EXPECT_EQ(lent[0]->nb_segs, 2);
  EXPECT_EQ(bytes_of(lent[0]), packet);
  rte_pktmbuf_free(lent[0]);
}

TEST(Lend, ManySmallPiecesAreCopiedSoThatNoGuestDrainsThePool) {
  LoanFixture ring;
  const Bytes packet = pattern(50 * 40);
  auto chain = ring.driver.chain();
  chain.readable(header_bytes(ring.features));
  for (std::size_t i = 0; i < 50; ++i) chain.readable(std::span(packet).subspan(i * 40, 40));
  chain.publish();
  const Bytes few = pattern(1000);
  ring.driver.chain()
      .readable(header_bytes(ring.features))
      .readable(std::span(few).first(20))
      .readable(std::span(few).subspan(20))
      .readable({})
      .publish();
  const auto packets = ring.lend();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_FALSE(is_lent(packets[0]));
  EXPECT_EQ(bytes_of(packets[0]), packet);
  EXPECT_TRUE(is_lent(packets[1])) << "500 bytes a piece";
  EXPECT_EQ(bytes_of(packets[1]), few);
  EXPECT_EQ(ring.count(VringCounter::copied_shape), 1U);
  for (rte_mbuf* each : packets) rte_pktmbuf_free(each);
}

TEST(Lend, APoolWhoseMbufsCannotBeAttached) {
  LoanFixture ring;
  rte_pktmbuf_extmem memory{};
  memory.buf_len = 64 * 4096;
  memory.elt_size = 4096;
  std::vector<std::uint8_t> room(memory.buf_len);
  memory.buf_ptr = room.data();
  memory.buf_iova = RTE_BAD_IOVA;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // EAL marks it experimental
  rte_mempool* const pool = rte_pktmbuf_pool_create_extbuf("pinned", 63, 0, 0, 4096, SOCKET_ID_ANY, &memory, 1);
#pragma GCC diagnostic pop
  ASSERT_NE(pool, nullptr);
  ring.transmit(pattern(1500));
  const auto packets = ring.lend(64, pool);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(bytes_of(packets[0]), pattern(1500));
  EXPECT_EQ(ring.count(VringCounter::copied_shape), 1U);
  EXPECT_EQ(ring.driver.reap().size(), 1U);
  rte_pktmbuf_free(packets[0]);
  rte_mempool_free(pool);
}

TEST(Lend, AnEmptyPoolLosesNothing) {
  LoanFixture ring;
  const unsigned before = mbufs_in_use();
  rte_mempool* const pool = test_pool(2048, 3);
  std::vector<rte_mbuf*> all(3);
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool, all.data(), 3), 0);
  ring.transmit(pattern(net::packet_bytes_max));  // two segments
  EXPECT_TRUE(ring.lend(64, pool).empty());
  rte_pktmbuf_free(all[0]);
  EXPECT_TRUE(ring.lend(64, pool).empty()) << "one mbuf is not enough";
  EXPECT_EQ(ring.table->outstanding(), 0U);
  rte_pktmbuf_free(all[1]);
  const auto lent = ring.lend(64, pool);
  ASSERT_EQ(lent.size(), 1U);
  EXPECT_EQ(bytes_of(lent[0]), pattern(net::packet_bytes_max));
  rte_pktmbuf_free(lent[0]);
  rte_pktmbuf_free(all[2]);
  EXPECT_EQ(ring.count(VringCounter::stall_no_mbuf), 2U);
  EXPECT_EQ(rte_mempool_avail_count(pool), 3U);
  EXPECT_EQ(mbufs_in_use(), before);
}

TEST(Lend, ALieInAChainBreaksTheRingAndLeavesNoLoan) {
  LoanFixture ring;
  ring.transmit(pattern(1500));
  ring.driver.chain().raw(0x1000, 2000).publish();  // no memory there
  const auto packets = ring.lend();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::outside_memory);
  EXPECT_EQ(ring.table->outstanding(), 1U);
  rte_pktmbuf_free(packets[0]);
}

TEST(Lend, RandomOrderOfFreesLosesAndDoublesNothing) {
  LoanFixture ring;
  std::mt19937 random(7);
  std::vector<rte_mbuf*> held;
  std::uint64_t sent = 0;
  std::uint64_t back = 0;
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0 && ring.driver.free_descriptors() != 0) {
      ring.transmit_some(200 + static_cast<std::uint32_t>(random() % 2000));
      ++sent;
    }
    if (random() % 4 == 0)
      for (rte_mbuf* packet : ring.lend()) held.push_back(packet);
    if (!held.empty() && random() % 2 == 0) {
      std::swap(held[random() % held.size()], held.back());
      rte_pktmbuf_free(held.back());
      held.pop_back();
    }
    if (random() % 8 == 0) ring.poll();
    back += ring.driver.reap().size();  // aborts where a head comes back that is not out
  }
  for (rte_mbuf* packet : ring.lend()) held.push_back(packet);
  for (rte_mbuf* packet : held) rte_pktmbuf_free(packet);
  ring.poll();
  back += ring.driver.reap().size();
  EXPECT_EQ(back, sent);
  EXPECT_EQ(ring.driver.free_descriptors(), 64);
  EXPECT_EQ(ring.table->outstanding(), 0U);
}

TEST(Lend, ATableOutlivesItsOwnerUntilTheLastMbufIsFreed) {
  LoanFixture ring;
  for (int i = 0; i < 3; ++i) ring.transmit(pattern(1500, static_cast<std::uint8_t>(i)));
  const auto lent = ring.lend();
  ASSERT_EQ(lent.size(), 3U);
  std::weak_ptr<const zerocopy::DmaMemory> memory = ring.dma;
  rte_pktmbuf_free(lent[1]);
  ring.table.reset();
  ring.dma.reset();
  EXPECT_FALSE(memory.expired());
  std::thread([&lent] { rte_pktmbuf_free(lent[0]); }).join();
  EXPECT_EQ(bytes_of(lent[2]), pattern(1500, 2)) << "still mapped";
  EXPECT_FALSE(memory.expired());
  rte_pktmbuf_free(lent[2]);
  EXPECT_TRUE(memory.expired());
}

TEST(Lend, MemoryIsKeptForItsLoansOnly) {
  LoanFixture ring;
  ring.transmit(pattern(1500));
  auto lent = ring.lend();
  const auto newer = zerocopy::DmaMemory::create(ring.guest.map(), ring.dma.get());
  const auto& current = ring.table->pin(newer);
  EXPECT_EQ(ring.table->drop_unused_pins(&current), 1U);
  std::weak_ptr<const zerocopy::DmaMemory> older = ring.dma;
  rte_pktmbuf_free(lent[0]);
  ring.poll();
  ring.dma = newer;
  EXPECT_EQ(ring.table->drop_unused_pins(&current), 0U);
  EXPECT_TRUE(older.expired());
}

}  // namespace
}  // namespace vhostx::test
