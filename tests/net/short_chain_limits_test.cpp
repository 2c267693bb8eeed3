// SPDX-License-Identifier: BSD-3-Clause
// Chains of one and two descriptors at the limits: borders of regions, the ring's own size, its end and the
// end of its indices, heads that are none in the middle of a batch.
#include <tuple>

#include <gtest/gtest.h>

#include "tests/net/short_chain_ring.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::GuestDescriptor;
using test::header_bytes;
using test::join;
using test::legacy;
using test::make_packet;
using test::mergeable;
using test::pattern;
using test::plain;
using test::RingFixture;
using test::ShortChainRing;
using test::Way;
using virtqueue::Descriptor;

class ShortChainLimits : public ::testing::TestWithParam<std::tuple<std::uint64_t, Way>> {
 protected:
  std::uint64_t features() const { return std::get<0>(GetParam()); }
  Way way() const { return std::get<1>(GetParam()); }
  /// From the index `start`; a packed ring from the same entry, in either lap.
  static void start_at(ShortChainRing& ring, std::uint16_t start) {
    const bool packed = ring.driver.kind() == virtqueue::RingKind::packed;
    const int lap = start % 2 == 0 ? 0 : virtqueue::PackedPosition::wrap_bit;
    ring.driver.start_at(packed ? static_cast<std::uint16_t>(start % ring.driver.size() | lap) : start);
    ring.cursor.position = ring.driver.start();
  }
};
INSTANTIATE_TEST_SUITE_P(Headers, ShortChainLimits,
                         ::testing::Combine(::testing::Values(mergeable, plain, legacy),
                                            ::testing::Values(Way::from_guest, Way::to_guest, Way::peeked,
                                                              Way::moved)));

// In each round the ring's end lies elsewhere in a batch; the indices go from 65535 to 0.
TEST_P(ShortChainLimits, TheRingsEndAndTheIndicesEnd) {
  for (const std::uint16_t size : std::initializer_list<std::uint16_t>{4, 16, 64})
    for (const std::uint16_t start : std::initializer_list<std::uint16_t>{0, 65535, 65534, 65521, 65500}) {
      ShortChainRing ring(features(), way(), size);
      start_at(ring, start);
      std::uint16_t index = start;
      for (std::uint16_t round = 0; round < 7; ++round) {
        std::vector<std::uint16_t> good;
        const auto count = static_cast<std::size_t>(1 + (size / 4 + round) % (size / 2));
        while (good.size() < count && ring.driver.free_descriptors() >= 3)
          good.push_back(ring.publish_good(good.size()));
        ASSERT_EQ(ring.deliver(32), good.size()) << size << " " << start << " " << round;
        index = static_cast<std::uint16_t>(index + good.size());
        if (ring.driver.kind() == virtqueue::RingKind::split) {
          ASSERT_EQ(ring.driver.used_index(), index);
        }
        ASSERT_EQ(ring.cursor.position.avail_next, ring.driver.end());
        ASSERT_NO_FATAL_FAILURE(ring.expect_used(good));
      }
    }
}

TEST_P(ShortChainLimits, AFullRingOverItsEnd) {
  for (const std::uint16_t size : std::initializer_list<std::uint16_t>{1, 2, 32, 128})
    for (const std::uint16_t start : std::initializer_list<std::uint16_t>{65535, 5, 31}) {
      ShortChainRing ring(features(), way(), size);
      start_at(ring, start);
      std::vector<std::uint16_t> good;
      while (good.size() < size)
        good.push_back(ring.publish_kind(good.size() % 2 == 0 || size == 1 ? 0 : 3, good.size()));
      ASSERT_EQ(ring.deliver(64), size) << start;
      ASSERT_NO_FATAL_FAILURE(ring.expect_used(good));
    }
}

TEST_P(ShortChainLimits, BadHeadsInTheMiddleOfABatch) {
  VHOSTX_SPLIT_RINGS_ONLY;
  for (const std::uint16_t batch : std::initializer_list<std::uint16_t>{1, 4, 32})
    for (const std::size_t first_bad : {0U, 1U, 2U, 3U, 15U, 31U}) {
      ShortChainRing ring(features(), way());
      std::vector<std::uint16_t> good;
      for (std::size_t i = 0; i < 40; ++i) {
        if (i == first_bad) {
          ring.driver.publish_head(128);
          ring.driver.publish_head(65535);
        }
        good.push_back(ring.publish_good(good.size()));
      }
      EXPECT_EQ(ring.deliver(batch), 40U) << batch << " " << first_bad;
      EXPECT_EQ(ring.count(VringCounter::drop_bad_head), 2U);
      EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);
      ring.expect_used(good);
    }
}

TEST_P(ShortChainLimits, TheEighthBadHeadBreaksTheRing) {
  VHOSTX_SPLIT_RINGS_ONLY;
  ShortChainRing ring(features(), way());
  std::vector<std::uint16_t> good;
  for (std::uint16_t i = 0; i < 8; ++i) {
    if (i != 0) good.push_back(ring.publish_good(good.size()));
    ring.driver.publish_head(static_cast<std::uint16_t>(128U << i % 2));
  }
  EXPECT_EQ(ring.deliver(32), 7U);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::bad_head);
  EXPECT_EQ(ring.cursor.fault.a, 256U);
  ring.expect_used(good);
}

TEST_P(ShortChainLimits, HeaderAndPacketInTwoRegions) {
  ShortChainRing ring(features(), way());
  std::vector<std::uint16_t> heads;
  for (std::size_t i = 0; i < 33; ++i) {
    const Bytes bytes = ring.packet(i);
    const std::uint64_t far = 0x5000'0000 + (i % 2 == 0 ? i * 256 : (1 << 20) - i * 256 + 256 - bytes.size());
    if (!is_to_guest(way())) std::copy(bytes.begin(), bytes.end(), ring.guest.at(far));
    const GuestDescriptor header = ring.header_buffer();
    auto chain = ring.driver.chain();
    chain.raw(header.address, header.length, header.flags);
    chain.raw(far, static_cast<std::uint32_t>(bytes.size()), ring.flag());
    if (i % 3 == 2) chain.indirect();
    heads.push_back(chain.publish());
  }
  EXPECT_EQ(ring.deliver(32), 33U);
  ring.expect_used(heads);
}

// Alone in its burst, with the translation of the burst before in hand: a byte over the border is in another mapping.
TEST_P(ShortChainLimits, AroundTheEndOfTheRegionOfTheBurstBefore) {
  constexpr std::uint64_t border = 0x2'0000;
  RingFixture ring(features(), 8, {{0x1'0000, 0x1'0000}, {border, 0x1000}});
  const Bytes whole = join(header_bytes(features()), pattern(60));
  for (std::uint64_t over = 0; over <= whole.size(); ++over)
    for (const std::uint64_t hinted : {border - 1, border}) {
      ASSERT_TRUE(ring.memory->translate(memory::GuestAddress{hinted}, 1, ring.cursor.hint));
      const std::uint64_t address = border - whole.size() + over;
      for (std::size_t i = 0; i < whole.size(); ++i) *ring.guest.at(address + i) = !is_to_guest(way()) ? whole[i] : 0;
      ring.driver.chain().raw(address, static_cast<std::uint32_t>(whole.size()), is_to_guest(way()) ? 2 : 0).publish();
      if (!is_to_guest(way())) {
        ASSERT_EQ(ring.dequeue(1), std::vector<Bytes>{pattern(60)}) << over;
      } else {
        rte_mbuf* packet = make_packet(test::test_pool(), pattern(60));
        ASSERT_EQ(ring.enqueue({packet}), 1) << over;
        rte_pktmbuf_free(packet);
        for (std::size_t i = 0; i < 60; ++i)
          ASSERT_EQ(*ring.guest.at(address + whole.size() - 60 + i), pattern(60)[i]) << over;
      }
      ASSERT_EQ(ring.driver.reap().size(), 1U);
    }
}

// VIRTIO 1.2, 2.7.5.3.1: no chain is longer than the ring, in a table or not.
TEST_P(ShortChainLimits, ATableLongerThanTheRing) {
  ShortChainRing ring(features(), way(), 1);
  ring.publish_kind(4, 0);
  EXPECT_EQ(ring.deliver(1), 0U);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::chain_too_long);
}

TEST_P(ShortChainLimits, ARingOfOneHasNoSecondDescriptor) {
  ShortChainRing ring(features(), way(), 1);
  const GuestDescriptor self = ring.buffer({});
  ring.driver.chain().raw(self.address, self.length, self.flags | Descriptor::next_flag).publish();
  EXPECT_EQ(ring.deliver(1), 0U);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::chain_too_long);
}

// A packet over several buffers of which a later one lies: the driver sees nothing of it.
TEST(ShortChainMergeable, ALieInALaterBufferHidesThePacket) {
  RingFixture ring(mergeable, 8);
  ring.driver.chain().writable(200).publish();
  ring.driver.chain().writable(200).publish();
  ring.driver.chain().raw(0, 200, Descriptor::write_flag).publish();
  rte_mbuf* small = make_packet(test::test_pool(), pattern(60));
  rte_mbuf* large = make_packet(test::test_pool(), pattern(300));
  EXPECT_EQ(ring.enqueue({small, large}), 1);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::outside_memory);
  EXPECT_EQ(ring.driver.reap().size(), 1U);
  rte_pktmbuf_free(small);
  rte_pktmbuf_free(large);
}

}  // namespace
}  // namespace vhostx::net
