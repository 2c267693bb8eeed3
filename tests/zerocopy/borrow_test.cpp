// SPDX-License-Identifier: BSD-3-Clause
// Host to guest without a copy.
#include <cstring>

#include <gtest/gtest.h>

#include "tests/zerocopy/loan_fixture.hpp"

namespace vhostx::test {
namespace {

void fill(rte_mbuf* buffer, const Bytes& bytes) {
  ASSERT_LE(bytes.size(), rte_pktmbuf_tailroom(buffer));
  std::memcpy(rte_pktmbuf_append(buffer, static_cast<std::uint16_t>(bytes.size())), bytes.data(), bytes.size());
}

/// For a packet's second buffer and those behind it.
void begin_at_the_front(rte_mbuf* buffer) { buffer->data_off = 0; }

/// What the driver finds: net header and packet of each used chain.
struct Received {
  net::VirtioNetHeader header;
  Bytes packet;
};
Received received(FakeDriver& driver, const UsedElement& used) {
  const Bytes all = driver.bytes_of(used);
  Received out;
  std::memcpy(&out.header, all.data(), sizeof out.header);
  out.packet.assign(all.begin() + sizeof out.header, all.end());
  return out;
}

TEST(Borrow, APacketFilledIntoTheGuestsBufferArrivesThere) {
  LoanFixture ring;
  ring.driver.chain().writable(2048).publish();
  const auto buffers = ring.borrow();
  ASSERT_EQ(buffers.size(), 1U);
  EXPECT_EQ(rte_pktmbuf_headroom(buffers[0]), 12) << "the net header, and nothing else";
  EXPECT_EQ(rte_pktmbuf_tailroom(buffers[0]), 2048 - 12);
  EXPECT_EQ(buffers[0]->pkt_len, 0U);
  fill(buffers[0], pattern(1500));
  const unsigned before = mbufs_in_use();
  EXPECT_EQ(ring.commit(buffers), 1);
  EXPECT_EQ(mbufs_in_use(), before - 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 1U);
  EXPECT_EQ(used[0].length, 1512U);
  const auto got = received(ring.driver, used[0]);
  EXPECT_EQ(got.packet, pattern(1500));
  EXPECT_EQ(got.header, (net::VirtioNetHeader{.num_buffers = 1}));
  EXPECT_EQ(ring.count(VringCounter::lent), 1U);
  EXPECT_EQ(ring.count(VringCounter::packets), 1U);
  EXPECT_EQ(ring.count(VringCounter::bytes), 1500U);
  EXPECT_EQ(ring.table->outstanding(), 0U);
  EXPECT_FALSE(ring.table->has_returns());
}

TEST(Borrow, MbufsOfCommittedBuffersAreAsNewInThePool) {
  LoanFixture ring;
  for (int round = 0; round < 100; ++round) {
    ring.driver.chain().writable(2048).publish();
    const auto buffers = ring.borrow();
    ASSERT_EQ(buffers.size(), 1U);
    fill(buffers[0], pattern(100));
    ASSERT_EQ(ring.commit(buffers), 1);
    ring.driver.reap();
  }
  std::vector<rte_mbuf*> all(test_pool()->size);
  const unsigned have = rte_mempool_avail_count(test_pool());
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(test_pool(), all.data(), have), 0);
  for (unsigned i = 0; i < have; ++i) {
    EXPECT_TRUE(RTE_MBUF_DIRECT(all[i]));
    EXPECT_EQ(rte_pktmbuf_tailroom(all[i]), 2048);
    rte_pktmbuf_free(all[i]);
  }
}

TEST(Borrow, MergeableBuffersHoldOnePacket) {
  LoanFixture ring;
  for (int i = 0; i < 3; ++i) ring.driver.chain().writable(1012).publish();
  auto buffers = ring.borrow();
  ASSERT_EQ(buffers.size(), 3U);
  const Bytes packet = pattern(2500);
  for (std::size_t i = 1; i < 3; ++i) begin_at_the_front(buffers[i]);
  const std::size_t sizes[] = {1000, 1012, 488};
  std::size_t at = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    fill(buffers[i], Bytes(packet.begin() + static_cast<std::ptrdiff_t>(at),
                           packet.begin() + static_cast<std::ptrdiff_t>(at + sizes[i])));
    at += sizes[i];
  }
  for (std::size_t i = 1; i < 3; ++i) {
    ASSERT_EQ(rte_pktmbuf_chain(buffers[0], buffers[i]), 0);
  }
  EXPECT_EQ(ring.commit({buffers[0]}), 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 3U);
  const auto first = received(ring.driver, used[0]);
  EXPECT_EQ(first.header.num_buffers, 3);
  Bytes all = first.packet;
  for (std::size_t i = 1; i < 3; ++i) all = join(all, ring.driver.bytes_of(used[i]));
  EXPECT_EQ(all, packet);
  EXPECT_EQ(ring.count(VringCounter::lent), 1U);
  EXPECT_EQ(ring.count(VringCounter::copied_shape), 0U);
}

TEST(Borrow, WhatLiesInTheWrongPlaceIsCopiedIntoOtherBuffers) {
  LoanFixture ring;
  for (int i = 0; i < 4; ++i) ring.driver.chain().writable(1012).publish();
  auto buffers = ring.borrow(2);
  fill(buffers[0], pattern(1000, 1));
  fill(buffers[1], pattern(500, 2));  // behind room for a header that is not there in a second buffer
  ASSERT_EQ(rte_pktmbuf_chain(buffers[0], buffers[1]), 0);
  EXPECT_EQ(ring.commit({buffers[0]}), 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 2U);
  const auto first = received(ring.driver, used[0]);
  EXPECT_EQ(first.header.num_buffers, 2);
  EXPECT_EQ(join(first.packet, ring.driver.bytes_of(used[1])), join(pattern(1000, 1), pattern(500, 2)));
  EXPECT_EQ(ring.count(VringCounter::copied_shape), 1U);
  const auto spare = ring.borrow();
  EXPECT_EQ(spare.size(), 2U) << "the two are spare";
  for (rte_mbuf* buffer : spare) rte_pktmbuf_free(buffer);
}

TEST(Borrow, ABufferThatIsNotFullIsAPacketsLastOrIsCopied) {
  LoanFixture ring;
  for (int i = 0; i < 4; ++i) ring.driver.chain().writable(1012).publish();
  auto buffers = ring.borrow(2);
  begin_at_the_front(buffers[1]);
  fill(buffers[0], pattern(900, 1));
  fill(buffers[1], pattern(500, 2));
  ASSERT_EQ(rte_pktmbuf_chain(buffers[0], buffers[1]), 0);
  EXPECT_EQ(ring.commit({buffers[0]}), 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 2U);
  EXPECT_EQ(used[0].length, 1012U) << "VIRTIO 1.2, 5.1.6.4.1";
  EXPECT_EQ(join(received(ring.driver, used[0]).packet, ring.driver.bytes_of(used[1])),
            join(pattern(900, 1), pattern(500, 2)));
}

TEST(Borrow, MoreThanABufferHoldsIsNotDeliveredFromIt) {
  LoanFixture ring;
  for (int i = 0; i < 4; ++i) ring.driver.chain().writable(1012).publish();
  auto buffers = ring.borrow(1);
  buffers[0]->data_len = 1012;  // 12 more than there is room for
  buffers[0]->pkt_len = 1012;
  EXPECT_EQ(ring.commit(buffers), 1);
  for (const auto& used : ring.driver.reap()) EXPECT_LE(used.length, 1012U);
}

TEST(Borrow, PiecesInAnotherOrderAreCopied) {
  LoanFixture ring;
  for (int i = 0; i < 2; ++i) ring.driver.chain().writable(12).writable(500).writable(500).in_one_entry().publish();
  auto buffers = ring.borrow(1);
  rte_mbuf* const first = buffers[0];
  rte_mbuf* const second = first->next;
  second->next = first;
  first->next = nullptr;
  second->nb_segs = 2;
  second->pkt_len = 1000;
  std::uint8_t fill_byte = 1;
  for (rte_mbuf* segment : {second, first}) {
    segment->data_len = 500;
    std::memset(rte_pktmbuf_mtod(segment, void*), fill_byte++, 500);
  }
  EXPECT_EQ(ring.commit({second}), 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 1U);
  const Bytes packet = received(ring.driver, used[0]).packet;
  EXPECT_EQ(packet.front(), 1);
  EXPECT_EQ(packet.back(), 2);
}

TEST(Borrow, ACommitThatFindsNoBuffersFreesTheSpareOnes) {
  LoanFixture ring;
  for (int i = 0; i < 4; ++i) ring.driver.chain().writable(2048).publish();
  for (rte_mbuf* buffer : ring.borrow()) rte_pktmbuf_free(buffer);
  rte_mbuf* const packet = make_packet(test_pool(), pattern(300));
  EXPECT_EQ(ring.commit({packet}), 0);
  EXPECT_EQ(ring.driver.reap().size(), 4U) << "to be posted again";
  ring.driver.chain().writable(2048).publish();
  EXPECT_EQ(ring.commit({packet}), 1);
}

TEST(Borrow, ABadHeadIsCountedOnceBeforeAChainThatCannotBeLent) {
  VHOSTX_SPLIT_RINGS_ONLY;
  LoanFixture ring;
  ring.driver.publish_head(999);
  ring.driver.chain().writable(5).writable(2000).publish();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(ring.borrow().empty());
  EXPECT_EQ(ring.count(VringCounter::drop_bad_head), 1U);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);
}

TEST(Borrow, OwnMbufsAreDeliveredToo) {
  LoanFixture ring;
  ring.driver.chain().writable(2048).publish();
  EXPECT_EQ(ring.commit({make_packet(test_pool(), pattern(700))}), 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 1U);
  EXPECT_EQ(received(ring.driver, used[0]).packet, pattern(700));
}

TEST(Borrow, ABufferThatIsGivenBackUntouchedIsLentAgain) {
  LoanFixture ring;
  const std::uint16_t head = ring.driver.chain().writable(2048).publish();
  auto buffers = ring.borrow();
  rte_pktmbuf_free(buffers[0]);
  EXPECT_TRUE(ring.driver.reap().empty());
  buffers = ring.borrow();
  ASSERT_EQ(buffers.size(), 1U);
  fill(buffers[0], pattern(100));
  EXPECT_EQ(ring.commit(buffers), 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 1U);
  EXPECT_EQ(used[0].head, head);
}

TEST(Borrow, SpareBuffersGoBackToTheDriverEmpty) {
  LoanFixture ring;
  ring.driver.chain().writable(2048).publish();
  rte_pktmbuf_free(ring.borrow()[0]);
  zerocopy::return_spares(ring.context(), *ring.table);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 1U);
  EXPECT_EQ(used[0].length, 0U);
}

TEST(Borrow, ABufferInSeveralPiecesIsAChainOfMbufs) {
  LoanFixture ring;
  ring.driver.chain().writable(12).writable(1000).writable(1000).in_one_entry().publish();
  const auto buffers = ring.borrow();
  ASSERT_EQ(buffers.size(), 1U);
  ASSERT_EQ(buffers[0]->nb_segs, 2);
  EXPECT_EQ(rte_pktmbuf_headroom(buffers[0]), 0);
  rte_mbuf* const second = buffers[0]->next;
  const Bytes packet = pattern(1400);
  std::memcpy(rte_pktmbuf_mtod(buffers[0], void*), packet.data(), 1000);
  std::memcpy(rte_pktmbuf_mtod(second, void*), packet.data() + 1000, 400);
  buffers[0]->data_len = 1000;
  second->data_len = 400;
  buffers[0]->pkt_len = 1400;
  EXPECT_EQ(ring.commit(buffers), 1);
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 1U);
  EXPECT_EQ(used[0].length, 1412U);
  EXPECT_EQ(received(ring.driver, used[0]).packet, packet);
  EXPECT_EQ(ring.count(VringCounter::lent), 1U);
}

TEST(Borrow, AHeaderThatIsCutIsLeftToEnqueue) {
  LoanFixture ring;
  ring.driver.chain().writable(5).writable(2000).publish();
  EXPECT_TRUE(ring.borrow().empty());
  EXPECT_EQ(ring.enqueue({make_packet(test_pool(), pattern(300))}), 1);
  EXPECT_EQ(ring.driver.reap().size(), 1U);
}

TEST(Borrow, NoMoreThanHalfOfTheRingIsOut) {
  LoanFixture ring;
  for (int i = 0; i < 64; ++i) ring.driver.chain().writable(2048).publish();
  auto buffers = ring.borrow(64);
  EXPECT_EQ(buffers.size(), 32U);
  EXPECT_TRUE(ring.borrow().empty());
  for (int i = 0; i < 32; ++i) EXPECT_EQ(ring.enqueue({make_packet(test_pool(), pattern(300))}), 1) << "the rest flows";
  for (rte_mbuf* buffer : buffers) rte_pktmbuf_free(buffer);
}

TEST(Borrow, AnEmptyPoolLosesNothing) {
  LoanFixture ring;
  rte_mempool* const pool = test_pool(2048, 3);
  std::vector<rte_mbuf*> all(3);
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool, all.data(), 3), 0);
  ring.driver.chain().writable(40'000).writable(40'000).in_one_entry().publish();  // more than one mbuf can hold
  EXPECT_TRUE(ring.borrow(64, pool).empty());
  rte_pktmbuf_free(all[0]);
  EXPECT_TRUE(ring.borrow(64, pool).empty()) << "one mbuf is not enough";
  EXPECT_EQ(ring.count(VringCounter::stall_no_mbuf), 2U);
  EXPECT_EQ(ring.table->outstanding(), 0U);
  rte_pktmbuf_free(all[1]);
  const auto borrowed = ring.borrow(64, pool);
  ASSERT_EQ(borrowed.size(), 1U);
  EXPECT_EQ(borrowed[0]->nb_segs, 2);
  rte_pktmbuf_free(borrowed[0]);
  rte_pktmbuf_free(all[2]);
  EXPECT_EQ(rte_mempool_avail_count(pool), 3U);
}

TEST(Borrow, SomebodyElseHoldsTheMbuf) {
  LoanFixture ring;
  for (int i = 0; i < 2; ++i) ring.driver.chain().writable(2048).publish();
  auto buffers = ring.borrow(1);
  fill(buffers[0], pattern(400));
  rte_mbuf* const clone = rte_pktmbuf_clone(buffers[0], test_pool());
  EXPECT_EQ(ring.commit(buffers), 1);
  EXPECT_EQ(received(ring.driver, ring.driver.reap().at(0)).packet, pattern(400)) << "copied into the other buffer";
  EXPECT_EQ(bytes_of(clone), pattern(400)) << "and the clone is still good";
  EXPECT_EQ(ring.table->outstanding(), 1U);
  rte_pktmbuf_free(clone);
  const auto again = ring.borrow();
  ASSERT_EQ(again.size(), 1U);
  rte_pktmbuf_free(again[0]);
}

TEST(Borrow, WithoutMergeableBuffersAPacketMustFitOne) {
  LoanFixture ring(net::feature_version_1);
  for (int i = 0; i < 4; ++i) ring.driver.chain().writable(1012).publish();
  auto buffers = ring.borrow(2);
  begin_at_the_front(buffers[1]);
  fill(buffers[0], pattern(1000));
  fill(buffers[1], pattern(1000));
  ASSERT_EQ(rte_pktmbuf_chain(buffers[0], buffers[1]), 0);
  EXPECT_EQ(ring.commit({buffers[0]}), 1);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 1U);
  EXPECT_TRUE(ring.driver.reap().empty());
}

TEST(Borrow, AChecksumTheGuestTakesIsLeftOpenAndOneItDoesNotIsWritten) {
  for (const bool takes : {true, false}) {
    LoanFixture ring(usual_net_features | (takes ? net::feature_guest_csum : 0));
    ring.driver.chain().writable(2048).publish();
    auto buffers = ring.borrow();
    Bytes packet(14 + 20 + 8 + 100, 0x11);
    packet[12] = 0x08, packet[13] = 0;
    packet[14] = 0x45, packet[16] = 0, packet[17] = 128, packet[20] = packet[21] = 0, packet[23] = 17;
    packet[38] = 0, packet[39] = 108;
    fill(buffers[0], packet);
    buffers[0]->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
    EXPECT_EQ(ring.commit(buffers), 1);
    const auto got = received(ring.driver, ring.driver.reap().at(0));
    EXPECT_EQ(got.header.flags, takes ? net::header_needs_csum : 0);
    EXPECT_EQ(ring.count(VringCounter::checksummed), takes ? 0U : 1U);
    EXPECT_EQ(ring.count(VringCounter::lent), 1U);
  }
}

}  // namespace
}  // namespace vhostx::test
