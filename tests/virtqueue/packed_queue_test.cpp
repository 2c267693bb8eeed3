// SPDX-License-Identifier: BSD-3-Clause
// The device's side of a packed virtqueue against a driver (VIRTIO 1.2, 2.8): what a split one has not.
#include "virtqueue/packed_queue.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/virtqueue/queue_ring.hpp"
#include "virtqueue/split_queue.hpp"
#include "virtqueue/virtqueue.hpp"

namespace vhostx::virtqueue {
namespace {

using test::PackedKind;
using PackedRing = test::QueueRing<PackedKind>;
using Lengths = std::vector<std::uint32_t>;

static_assert(Virtqueue<SplitQueue<>> && Virtqueue<SplitQueue<LogMarks>>);
static_assert(Virtqueue<PackedQueue<>> && Virtqueue<PackedQueue<LogMarks>>);

/// Walks a chain: the lengths of its pieces, or none and its fault.
std::pair<Lengths, VringFault> walk_packed(const PackedRing& ring, const PackedQueue<>& queue, const Chain& chain) {
  memory::GuestMemory::Hint hint;
  auto walker = queue.walk<Direction::writable>(chain, *ring.memory, hint);
  Lengths lengths;
  for (memory::WritableSpan piece;;) {
    const auto step = walker.next(piece);
    if (step == decltype(walker)::Step::end) return {lengths, {}};
    if (step == decltype(walker)::Step::invalid) return {{}, walker.fault()};
    lengths.push_back(static_cast<std::uint32_t>(piece.size()));
  }
}

void post_packed(PackedRing& ring, const Lengths& lengths) {
  auto chain = ring.driver.chain();
  for (const std::uint32_t length : lengths) chain.writable(length);
  chain.publish();
}

TEST(PackedPosition, CountsInLaps) {
  for (const std::uint32_t size : {1U, 2U, 3U, 5U, 256U, 32767U, 32768U}) {
    PackedPosition at;
    EXPECT_TRUE(at.wrap());
    EXPECT_EQ(at.after(size, size).index(), 0U);
    EXPECT_FALSE(at.after(size, size).wrap());
    for (std::uint32_t i = 0; i < 3 * std::min(size, 300U); ++i) {
      for (const std::uint32_t step : {0U, 1U, size / 2, size - 1, size}) {
        const PackedPosition later = at.after(step, size);
        EXPECT_EQ(later.before(step, size), at);
        EXPECT_EQ(later.since(at, size), step);
      }
      at = at.after(1, size);
    }
  }
}

TEST(PackedQueue, ChainsOfAllLengthsWrapAndAreWalked) {
  for (std::uint16_t size = 1; size <= 7; ++size) {
    PackedRing ring(size);
    for (std::uint32_t round = 0; round < 60; ++round) {
      const Lengths lengths{10 + round, 20, 30, 40, 50, 60, 70};
      const Lengths posted(lengths.begin(), lengths.begin() + 1 + round % size);
      post_packed(ring, posted);
      auto queue = ring.queue();
      Chain chain;
      ASSERT_EQ(queue.take(chain), Take::chain);
      EXPECT_EQ(chain.entries, posted.size());
      EXPECT_EQ(walk_packed(ring, queue, chain).first, posted);
      queue.give_back(chain, round + 1);
      EXPECT_TRUE(queue.publish());
      const auto used = ring.driver.reap();
      ASSERT_EQ(used.size(), 1U);
      EXPECT_EQ(used[0].length, round + 1);
    }
  }
}

TEST(PackedQueue, IndirectTablesHaveNoLinks) {
  PackedRing ring(4, {.indirect = true});
  for (int round = 0; round < 9; ++round) {
    ring.driver.chain().writable(11).writable(22).writable(33).indirect().publish();
    auto queue = ring.queue();
    Chain chain;
    ASSERT_EQ(queue.take(chain), Take::chain);
    EXPECT_EQ(chain.entries, 1U);
    EXPECT_EQ(walk_packed(ring, queue, chain).first, (Lengths{11, 22, 33}));
    queue.give_back(chain, 5);
    queue.publish();
    ring.driver.reap();
  }
}

// DPDK's driver leaves such marks in the table of a packet that it sends.
TEST(PackedQueue, InATableToReadNoMarkSaysThatItIsToBeWritten) {
  PackedRing ring(4, {.indirect = true});
  const std::uint64_t table = ring.guest.allocate(64, 16);
  for (std::uint32_t i = 0; i < 3; ++i)
    ring.guest.at_as<test::GuestPackedDescriptor>(table)[i] = {table, 10 + i, 0, Descriptor::write_flag};
  ring.driver.packed(0) = {table, 48, 3,
                           static_cast<std::uint16_t>(Descriptor::indirect_flag | PackedPosition{}.available())};
  auto queue = ring.queue();
  Chain chain;
  ASSERT_EQ(queue.take(chain), Take::chain);
  memory::GuestMemory::Hint hint;
  auto walker = queue.walk<Direction::readable>(chain, *ring.memory, hint);
  memory::HostSpan piece;
  for (std::uint32_t i = 0; i < 3; ++i) {
    ASSERT_EQ(walker.next(piece), decltype(walker)::Step::buffer);
    EXPECT_EQ(piece.size, 10 + i);
  }
  EXPECT_EQ(walker.next(piece), decltype(walker)::Step::end);
  queue.untake(chain);
}

TEST(PackedQueue, ABurstIsShownByItsFirstDescriptor) {
  PackedRing ring(5);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 3; ++i) ring.post();
    auto queue = ring.queue();
    for (Chain chain; queue.take(chain) == Take::chain;) queue.give_back(chain, 9);
    EXPECT_TRUE(ring.driver.reap().empty());
    queue.publish();
    EXPECT_EQ(ring.driver.reap().size(), 3U);
  }
}

// VIRTIO 1.2, 2.8.3: a used descriptor says whether anything was written.
TEST(PackedQueue, UsedDescriptorsTellWhetherTheyWereWritten) {
  PackedRing ring(2);
  ring.post();
  ring.post();
  auto queue = ring.queue();
  Chain chain;
  ASSERT_EQ(queue.take(chain), Take::chain);
  queue.give_back(chain, 0);
  ASSERT_EQ(queue.take(chain), Take::chain);
  queue.give_back(chain, 7);
  queue.publish();
  EXPECT_EQ(ring.driver.packed(0).flags & Descriptor::write_flag, 0);
  EXPECT_NE(ring.driver.packed(1).flags & Descriptor::write_flag, 0);
}

TEST(PackedQueue, ChainsComeBackInAnyOrder) {
  PackedRing ring(8);
  std::vector<Chain> kept;
  for (int round = 0; round < 30; ++round) {
    post_packed(ring, {1});
    post_packed(ring, {2, 3});
    auto queue = ring.queue();
    std::vector<std::uint16_t> back;
    for (Chain chain; queue.take(chain) == Take::chain;) kept.push_back(chain);
    queue.keep(2);
    if (round % 2 == 1) {
      for (std::size_t i = 0; i < 4; ++i) {
        const auto which = static_cast<std::ptrdiff_t>((i * 5 + static_cast<std::size_t>(round)) % kept.size());
        queue.give_back_kept(kept[static_cast<std::size_t>(which)], 0);
        back.push_back(kept[static_cast<std::size_t>(which)].id);
        kept.erase(kept.begin() + which);
      }
    }
    EXPECT_EQ(queue.publish(), round % 2 == 1);
    std::vector<std::uint16_t> seen;
    for (const auto& used : ring.driver.reap()) seen.push_back(static_cast<std::uint16_t>(used.head));
    EXPECT_EQ(seen, back);
  }
  EXPECT_EQ(ring.driver.free_descriptors(), 8);
}

// 2.8.8: with IN_ORDER one used descriptor stands for all that nothing was written into.
TEST(PackedQueue, InOrderOneUsedDescriptorStandsForABurst) {
  PackedRing ring(8, {.in_order = true});
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint16_t> posted;
    for (int i = 0; i < 3; ++i) posted.push_back(ring.driver.chain().writable(1).publish());
    const std::uint32_t second = ring.driver.next().before(2, 8).index();
    const auto flags = ring.driver.packed(second).flags;
    EXPECT_EQ(ring.turn(0), posted);
    EXPECT_EQ(ring.driver.packed(second).flags, flags);
    std::vector<std::uint16_t> seen;
    for (const auto& used : ring.driver.reap()) seen.push_back(static_cast<std::uint16_t>(used.head));
    EXPECT_EQ(seen, posted);
  }
}

TEST(PackedQueue, InOrderLengthsAreToldOneByOne) {
  PackedRing ring(8, {.in_order = true});
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 3; ++i) ring.post();
    ring.turn(static_cast<std::uint32_t>(round + 1));
    const auto used = ring.driver.reap();
    ASSERT_EQ(used.size(), 3U);
    for (const auto& one : used) EXPECT_EQ(one.length, static_cast<std::uint32_t>(round + 1));
  }
}

/// PackedAttacks: what a driver may write into the ring.
struct PackedAttack : ::testing::Test {
  void post_raw(std::uint16_t flags, std::uint16_t id = 7) {
    const std::uint32_t index = ring.driver.next().index();
    ring.driver.packed(index) = {ring.guest.allocate(64), 64, id,
                                 static_cast<std::uint16_t>(flags | PackedPosition{}.available())};
  }
  PackedRing ring{4, {.indirect = true}};
};

TEST_F(PackedAttack, AChainThatNeverEnds) {
  for (std::uint32_t i = 0; i < 4; ++i)
    ring.driver.packed(i) = {
        ring.guest.allocate(64), 64, 1,
        static_cast<std::uint16_t>(Descriptor::next_flag | Descriptor::write_flag | PackedPosition{}.available())};
  auto queue = ring.queue();
  EXPECT_NE(queue.ready(), 0);
  Chain chain;
  EXPECT_EQ(queue.take(chain), Take::invalid);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::chain_too_long);
  EXPECT_FALSE(queue.publish());
}

// Entries that were taken and not given back are nobody's to be made available again.
TEST_F(PackedAttack, MoreThanARingHas) {
  for (int i = 0; i < 4; ++i) ring.post();
  std::vector<Chain> kept;
  for (int lap = 0; lap < 3; ++lap) {
    auto queue = ring.queue();
    for (Chain chain; queue.take(chain) == Take::chain; queue.keep(1)) kept.push_back(chain);
    queue.publish();
    for (std::uint32_t i = 0; i < 4; ++i)
      ring.driver.packed(i).flags = PackedPosition{static_cast<std::uint16_t>(lap % 2 == 0 ? 0 : 0x8000)}.available();
  }
  EXPECT_EQ(kept.size(), 4U);
}

TEST_F(PackedAttack, WrongWrapCounter) {
  post_raw(Descriptor::write_flag);
  ring.driver.packed(0).flags ^= packed_avail_flag | packed_used_flag;
  EXPECT_TRUE(is_idle(ring.layout, ring.cursor));
  EXPECT_TRUE(ring.turn().empty());
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);
}

TEST_F(PackedAttack, AnyIdComesBackAsItIs) {
  for (const std::uint16_t id : {std::uint16_t{0}, std::uint16_t{4}, std::uint16_t{0x7fff}, std::uint16_t{0xffff}}) {
    PackedRing one(2);
    one.driver.packed(0) = {one.guest.allocate(8), 8, id, static_cast<std::uint16_t>(PackedPosition{}.available())};
    EXPECT_EQ(one.turn(), std::vector<std::uint16_t>{id});
    EXPECT_EQ(one.driver.packed(0).id, id);
  }
}

TEST_F(PackedAttack, IndirectTablesThatAreNone) {
  const std::uint64_t table = ring.guest.allocate(256, 16);
  struct Case {
    std::uint32_t length;
    std::uint16_t flags;
    VringFaultCause cause;
  };
  using C = VringFaultCause;
  const std::uint16_t indirect = Descriptor::indirect_flag;
  for (const auto& [length, flags, cause] : std::array<Case, 6>{Case{0, indirect, C::bad_indirect},
                                                                {15, indirect, C::bad_indirect},
                                                                {40, indirect, C::bad_indirect},
                                                                {16, indirect, C::wrong_direction},
                                                                {96, indirect, C::chain_too_long},
                                                                {16, 5, C::chain_too_long}}) {
    PackedRing one(4, {.indirect = true});
    for (std::uint32_t i = 0; i < 16; ++i)
      one.guest.at_as<test::GuestPackedDescriptor>(table)[i] = {
          table, 8, 0, cause == C::wrong_direction ? std::uint16_t{0} : Descriptor::write_flag};
    for (std::uint32_t i = 0; i < 4; ++i)
      one.driver.packed(i) = {table, length, 3, static_cast<std::uint16_t>(flags | PackedPosition{}.available())};
    auto queue = one.queue();
    Chain chain;
    const Take taken = queue.take(chain);
    if ((flags & Descriptor::next_flag) != 0) {
      EXPECT_EQ(taken, Take::invalid);
      continue;
    }
    ASSERT_EQ(taken, Take::chain);
    EXPECT_EQ(walk_packed(one, queue, chain).second.cause, cause) << length;
    queue.untake(chain);
  }
}

TEST_F(PackedAttack, IndirectInAChain) {
  const std::uint64_t table = ring.guest.allocate(16, 16);
  ring.guest.at_as<test::GuestPackedDescriptor>(table)[0] = {table, 8, 0, Descriptor::write_flag};
  const auto available = PackedPosition{}.available();
  ring.driver.packed(0) = {table, 16, 0,
                           static_cast<std::uint16_t>(Descriptor::indirect_flag | Descriptor::next_flag | available)};
  ring.driver.packed(1) = {table, 8, 9, static_cast<std::uint16_t>(Descriptor::write_flag | available)};
  auto queue = ring.queue();
  Chain chain;
  ASSERT_EQ(queue.take(chain), Take::chain);
  EXPECT_EQ(walk_packed(ring, queue, chain).second.cause, VringFaultCause::bad_indirect);
  queue.untake(chain);
}

TEST_F(PackedAttack, EventsOutsideTheRing) {
  PackedRing one(4, {.event_idx = true});
  for (const std::uint32_t event : {0x0002'0004U, 0x0002'7fffU, 0x0002'ffffU, 0xffff'ffffU, 0x0003'0000U}) {
    one.driver.driver_event() = event;
    for (int i = 0; i < 5; ++i) {
      one.post();
      EXPECT_EQ(one.turn().size(), 1U);
      one.driver.reap();
    }
  }
}

}  // namespace
}  // namespace vhostx::virtqueue
