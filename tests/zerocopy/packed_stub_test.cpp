// SPDX-License-Identifier: BSD-3-Clause
// net/ and zerocopy/ on a ring that is not split. What they are made of is tested elsewhere; here it stands on
// PackedStub, so that nothing in it counts on heads, on 16-bit positions, or on one entry a chain.
#include "tests/net/packed_stub.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/copier.hpp"
#include "net/enqueuer.hpp"
#include "net/mbuf_source.hpp"
#include "tests/zerocopy/loan_fixture.hpp"
#include "zerocopy/borrower.hpp"
#include "zerocopy/lender.hpp"

namespace vhostx::test {
namespace {

constexpr std::uint16_t header = net::header_length_full;
using Used = std::vector<std::pair<std::uint16_t, std::uint32_t>>;

/// Guest memory and the rest of a context are the fixture's; its split ring is not used.
struct PackedFixture : LoanFixture {
  explicit PackedFixture(std::size_t size) : ring(size) {}

  /// The driver posts `bytes` as a chain of buffers of these lengths.
  void send(std::uint16_t id, const Bytes& bytes, const std::vector<std::uint32_t>& lengths) {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> buffers;
    std::size_t at = 0;
    for (const std::uint32_t length : lengths) {
      buffers.emplace_back(guest.allocate(length), length);
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), length, guest.at(buffers.back().first));
      at += length;
    }
    ASSERT_EQ(at, bytes.size());
    ring.post(id, buffers, false);
  }
  void offer(std::uint16_t id, const std::vector<std::uint32_t>& lengths) {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> buffers;
    for (const std::uint32_t length : lengths) buffers.emplace_back(guest.allocate(length), length);
    ring.post(id, buffers, true);
    rooms.insert_or_assign(id, buffers);
  }
  Used reap() {
    Used all;
    for (std::pair<std::uint16_t, std::uint32_t> one; ring.reap(one);) all.push_back(one);
    return all;
  }
  /// What was written into a chain that was offered.
  Bytes received(std::uint16_t id, std::uint32_t written) {
    Bytes bytes;
    for (const auto& [address, length] : rooms.at(id)) {
      const auto part = std::min<std::uint32_t>(length, written - static_cast<std::uint32_t>(bytes.size()));
      bytes.insert(bytes.end(), guest.at(address), guest.at(address) + part);
    }
    return bytes;
  }

  std::vector<Bytes> copy(std::uint16_t count = 32) {
    std::vector<rte_mbuf*> mbufs(count);
    const net::RingContext in = context();
    PackedStub queue(ring, cursor);
    net::Copier copier;
    net::DequeueBurst<PackedStub, header> burst(in, queue, test_pool(), mbufs.data());
    mbufs.resize(burst.run(copier, count).packets);
    std::vector<Bytes> packets;
    for (rte_mbuf* mbuf : mbufs) packets.push_back(bytes_of(mbuf));
    rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(mbufs.size()));
    return packets;
  }
  std::uint16_t put(const std::vector<rte_mbuf*>& packets) {
    const net::RingContext to = context();
    PackedStub queue(ring, cursor);
    virtqueue::WalkBudget budget(cursor.meter);
    net::Enqueuer<PackedStub, header, net::MbufSource> enqueuer(to, queue, budget);
    return enqueuer.run(packets.data(), static_cast<std::uint16_t>(packets.size())).packets;
  }
  std::vector<rte_mbuf*> lend_packed(std::uint16_t count) {
    std::vector<rte_mbuf*> mbufs(count);
    const net::RingContext in = context();
    PackedStub queue(ring, cursor);
    const zerocopy::Lending lent = lending();
    zerocopy::Lender<PackedStub, header> lender(in, queue, test_pool(), mbufs.data(), lent);
    mbufs.resize(lender.run(count).packets);
    return mbufs;
  }
  /// As poll_completions() does.
  void give_back_lent() {
    PackedStub queue(ring, cursor);
    table->collect([&](const virtqueue::Chain& chain) { queue.give_back_kept(chain, 0); });
    queue.publish();
  }

  PackedRing ring;
  std::map<std::uint16_t, std::vector<std::pair<std::uint64_t, std::uint32_t>>> rooms;
};

Bytes framed(const Bytes& packet) { return join(header_bytes(mergeable), packet); }

TEST(PackedStub, ChainsWrapAndIdsAreNoIndex) {
  PackedFixture world(5);
  std::uint16_t id = 60000;
  for (int round = 0; round < 20; ++round) {  // 5 entries, 4 a round: each border is met
    const Bytes small = pattern(64, static_cast<std::uint8_t>(round));
    const Bytes cut = pattern(300, static_cast<std::uint8_t>(round + 1));
    world.send(id, framed(small), {76});
    world.send(static_cast<std::uint16_t>(id + 7), framed(cut), {12, 100, 200});
    EXPECT_EQ(world.copy(), (std::vector<Bytes>{small, cut}));
    EXPECT_EQ(world.reap(), (Used{{id, 0}, {static_cast<std::uint16_t>(id + 7), 0}}));
    id = static_cast<std::uint16_t>(id + 997);
  }
}

TEST(PackedStub, APacketThatDoesNotFitWasNeverSeen) {
  PackedFixture world(8);
  rte_mbuf* const small = make_packet(test_pool(), pattern(100));
  rte_mbuf* const large = make_packet(test_pool(), pattern(1000, 9));
  world.offer(40001, {256});
  world.offer(7, {12, 300});
  EXPECT_EQ(world.put({small, large}), 1);  // the second one needs three chains
  EXPECT_EQ(world.reap(), (Used{{40001, 112}}));
  EXPECT_EQ(world.count(VringCounter::stall_few_buffers), 1U);
  world.offer(513, {400});
  world.offer(514, {400});
  EXPECT_EQ(world.put({large}), 1);
  const Used used = world.reap();
  EXPECT_EQ(used, (Used{{7, 312}, {513, 400}, {514, 300}}));
  Bytes all;
  for (const auto& [id, written] : used) all = join(all, world.received(id, written));
  all[10] = 0;  // num_buffers: 3
  EXPECT_EQ(all, framed(pattern(1000, 9)));
  rte_pktmbuf_free(small);
  rte_pktmbuf_free(large);
}

TEST(PackedStub, LentChainsComeBackInAnyOrder) {
  PackedFixture world(8);
  world.send(900, framed(pattern(500)), {512});
  world.send(901, framed(pattern(60)), {72});
  world.send(902, framed(pattern(800)), {12, 400, 400});
  auto packets = world.lend_packed(32);
  ASSERT_EQ(packets.size(), 3U);
  EXPECT_EQ(bytes_of(packets[2]), pattern(800));
  EXPECT_EQ(world.count(VringCounter::lent), 2U);
  EXPECT_EQ(world.reap(), (Used{{901, 0}}));
  for (const std::size_t i : std::array<std::size_t, 3>{2, 1, 0}) {
    rte_pktmbuf_free(packets[i]);
    world.give_back_lent();
  }
  EXPECT_EQ(world.reap(), (Used{{902, 0}, {900, 0}}));
}

TEST(PackedStub, BorrowedBuffersAreDeliveredInPlace) {
  PackedFixture world(4);
  world.offer(31, {600});
  world.offer(32, {600});
  const net::RingContext to = world.context();
  const zerocopy::Lending lending = world.lending();
  std::vector<rte_mbuf*> buffers;
  {
    PackedStub queue(world.ring, world.cursor);
    zerocopy::Borrower borrower(to, queue, lending, test_pool());
    for (rte_mbuf* buffer; (buffer = borrower.next()) != nullptr;) buffers.push_back(buffer);
    EXPECT_FALSE(queue.publish());
  }
  ASSERT_EQ(buffers.size(), 2U);
  EXPECT_TRUE(world.reap().empty());
  const Bytes packet = pattern(200);
  std::copy(packet.begin(), packet.end(), reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(buffers[1], 200)));
  PackedStub queue(world.ring, world.cursor);
  zerocopy::Committer committer(to, queue, lending);
  ASSERT_TRUE(committer.deliver_in_place(buffers[1]));
  EXPECT_TRUE(queue.publish());
  EXPECT_EQ(world.reap(), (Used{{32, 212}}));
  rte_pktmbuf_free(buffers[0]);
}

}  // namespace
}  // namespace vhostx::test
