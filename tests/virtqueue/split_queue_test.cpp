// SPDX-License-Identifier: BSD-3-Clause
// The device's side of a split virtqueue against a driver (VIRTIO 1.2, 2.7): what a packed one has not. See
// queue_test.cpp.
#include "virtqueue/split_queue.hpp"

#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/fake_driver.hpp"

namespace vhostx::virtqueue {
namespace {

using test::FakeDriver;
using test::FakeGuest;

struct Ring {
  explicit Ring(std::uint16_t size, RingFeatures features = {})
      : driver(guest, size, features), memory(guest.map()), layout(*driver.lay_out(*memory)) {}

  /// Takes everything, gives it back, publishes. The heads taken.
  std::vector<std::uint16_t> turn() {
    SplitQueue queue(layout, cursor);
    std::vector<std::uint16_t> heads;
    for (Chain chain; queue.take(chain) == Take::chain;) {
      heads.push_back(chain.id);
      queue.give_back(chain, 1);
    }
    called = queue.publish() && queue.needs_call();
    return heads;
  }
  void post() { driver.chain().writable(1).publish(); }

  FakeGuest guest;
  FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  RingLayout layout;
  VringCursor cursor;
  bool called = false;
};

TEST(SplitQueue, AChainThatIsPutBackComesAgain) {
  Ring ring(4);
  ring.driver.publish_head(99);  // skipped on the way
  ring.post();
  SplitQueue queue(ring.layout, ring.cursor);
  Chain first;
  Chain again;
  ASSERT_EQ(queue.take(first), Take::chain);
  queue.untake(first);
  EXPECT_EQ(queue.ready(), 1);
  ASSERT_EQ(queue.take(again), Take::chain);
  EXPECT_EQ(first.id, again.id);
  EXPECT_EQ(queue.bad_chains(), 1);
  queue.keep(1);
  EXPECT_FALSE(queue.publish());
  queue.give_back_kept(again, 7);
  EXPECT_TRUE(queue.publish());
  EXPECT_EQ(ring.driver.reap().at(0).length, 7U);
}

TEST(SplitQueue, AllAreGivenBackUnread) {
  Ring ring(4);
  ring.post();
  ring.driver.publish_head(99);
  ring.post();
  SplitQueue queue(ring.layout, ring.cursor);
  EXPECT_EQ(queue.give_back_all(), 2);
  EXPECT_EQ(queue.bad_chains(), 1);
  EXPECT_TRUE(queue.publish());
  EXPECT_EQ(ring.driver.reap().size(), 2U);
}

TEST(SplitQueue, AnIndexThatRunsAheadIsALie) {
  for (const std::uint16_t size : std::array<std::uint16_t, 4>{1, 2, 4, 256}) {
    Ring good(size);
    good.driver.set_avail_index(size);
    EXPECT_EQ(SplitQueue(good.layout, good.cursor).ready(), size);

    for (int ahead : {size + 1, 65535}) {  // too far, and backwards
      Ring bad(size);
      bad.driver.set_avail_index(static_cast<std::uint16_t>(ahead));
      SplitQueue queue(bad.layout, bad.cursor);
      Chain chain;
      EXPECT_EQ(queue.ready(), 0);
      EXPECT_EQ(queue.take(chain), Take::invalid);
      EXPECT_EQ(bad.cursor.fault.cause, VringFaultCause::avail_index_jump);
      EXPECT_EQ(bad.cursor.fault.a, static_cast<std::uint64_t>(ahead));
    }
  }
}

TEST(SplitQueue, BadHeadsArePassedOverAndThenTooMany) {
  Ring ring(16);
  ring.driver.publish_head(16);
  ring.driver.publish_head(65535);
  const std::uint16_t good = ring.driver.chain().writable(1).publish();
  EXPECT_EQ(ring.turn(), std::vector<std::uint16_t>{good});
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);
  for (int i = 2; i < bad_heads_max; ++i) ring.driver.publish_head(99);
  EXPECT_TRUE(ring.turn().empty());
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::bad_head);
  EXPECT_EQ(ring.cursor.fault.a, 99U);
}

// 2.7.10: with EVENT_IDX a call is due when the used index passes used_event, in either lap of the 16-bit index.
TEST(SplitQueue, CallsFollowTheEventIndex) {
  Ring ring(8, {.event_idx = true});
  ring.driver.avail_flags() = AvailRing::no_interrupt_flag;  // without meaning now
  ring.driver.start_at(65534);
  ring.cursor.position.avail_next = ring.cursor.position.used_next = 65534;
  ring.driver.set_used_event(65534);
  ring.post();
  ring.turn();
  EXPECT_TRUE(ring.called);
  ring.driver.set_used_event(1);  // wants to know of the one at index 1: 65535 and 0 come first
  for (bool expected : {false, false, true, false}) {
    ring.driver.reap();
    ring.post();
    ring.turn();
    EXPECT_EQ(ring.called, expected);
  }
}

}  // namespace
}  // namespace vhostx::virtqueue
