// SPDX-License-Identifier: BSD-3-Clause
// The device's side of a virtqueue against a driver, of either kind (VIRTIO 1.2, 2.7 and 2.8).
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "tests/virtqueue/queue_ring.hpp"

namespace vhostx::virtqueue {
namespace {

using test::PackedKind;
using test::QueueRing;
using test::SplitKind;

template <typename Kind>
class Queue : public ::testing::Test {};
using Kinds = ::testing::Types<SplitKind, PackedKind>;
TYPED_TEST_SUITE(Queue, Kinds);

TYPED_TEST(Queue, IsEmptyAtFirst) {
  QueueRing<TypeParam> ring(4);
  auto queue = ring.queue();
  Chain chain;
  EXPECT_EQ(queue.ready(), 0);
  EXPECT_EQ(queue.take(chain), Take::empty);
  EXPECT_FALSE(queue.publish());
  EXPECT_TRUE(is_idle(ring.layout, ring.cursor));
  EXPECT_EQ(pending(ring.layout, ring.cursor), 0);
}

TYPED_TEST(Queue, ReturnsChainsInOrderThroughManyWraps) {
  for (const std::uint16_t size : std::array<std::uint16_t, 4>{1, 2, 4, 256}) {
    QueueRing<TypeParam> ring(size);
    ring.start_at(TypeParam::late(size));  // over the end of the index as well
    for (int round = 0; round < 50; ++round) {
      std::vector<std::uint16_t> posted;
      for (int i = 0; i < size; ++i) posted.push_back(ring.driver.chain().writable(1).publish());
      EXPECT_FALSE(is_idle(ring.layout, ring.cursor));
      EXPECT_EQ(pending(ring.layout, ring.cursor), size);
      EXPECT_EQ(ring.turn(), posted);
      const auto used = ring.driver.reap();
      ASSERT_EQ(used.size(), posted.size());
      for (std::size_t i = 0; i < used.size(); ++i) EXPECT_EQ(used[i].head, posted[i]);
    }
  }
}

TYPED_TEST(Queue, NothingIsVisibleBeforePublish) {
  QueueRing<TypeParam> ring(4);
  ring.post();
  ring.post();
  auto queue = ring.queue();
  for (int i = 0; i < 2; ++i) {
    Chain chain;
    ASSERT_EQ(queue.take(chain), Take::chain);
    queue.give_back(chain, 1);
    EXPECT_TRUE(ring.driver.reap().empty());
  }
  EXPECT_TRUE(queue.publish());
  EXPECT_EQ(ring.driver.reap().size(), 2U);
}

TYPED_TEST(Queue, RewindTakesBackWhatWasNotPublished) {
  QueueRing<TypeParam> ring(4);
  ring.post();
  ring.driver.chain().writable(1).writable(2).publish();
  auto queue = ring.queue();
  Chain first;
  Chain second;
  Chain again;
  const auto mark = queue.mark();
  ASSERT_EQ(queue.take(first), Take::chain);
  queue.give_back(first, 1);
  ASSERT_EQ(queue.take(second), Take::chain);
  queue.give_back(second, 3);
  queue.rewind(mark);
  EXPECT_NE(queue.ready(), 0);
  ASSERT_EQ(queue.take(again), Take::chain);
  EXPECT_EQ(first.id, again.id);
  queue.give_back(again, 1);
  const auto later = queue.mark();
  ASSERT_EQ(queue.take(again), Take::chain);
  EXPECT_EQ(second.id, again.id);
  queue.give_back(again, 1);
  queue.rewind(later);
  EXPECT_TRUE(queue.publish());
  const auto used = ring.driver.reap();
  ASSERT_EQ(used.size(), 1U);
  EXPECT_EQ(used[0].head, first.id);
  EXPECT_EQ(ring.turn(), std::vector<std::uint16_t>{second.id});
}

TYPED_TEST(Queue, AChainThatIsPutBackComesAgain) {
  QueueRing<TypeParam> ring(4);
  ring.driver.chain().writable(1).writable(1).publish();
  auto queue = ring.queue();
  Chain first;
  Chain again;
  ASSERT_EQ(queue.take(first), Take::chain);
  queue.untake(first);
  EXPECT_NE(queue.ready(), 0);
  ASSERT_EQ(queue.take(again), Take::chain);
  EXPECT_EQ(first.id, again.id);
  queue.keep(1);
  EXPECT_FALSE(queue.publish());
  queue.give_back_kept(again, 7);
  EXPECT_TRUE(queue.publish());
  EXPECT_EQ(ring.driver.reap().at(0).length, 7U);
}

TYPED_TEST(Queue, AFullRingIsKnown) {
  QueueRing<TypeParam> ring(5 - TypeParam::powers_of_two);
  for (std::uint16_t i = 1; i < ring.driver.size(); ++i) {
    ring.post();
    EXPECT_FALSE(ring.queue().is_full());
  }
  ring.post();
  auto queue = ring.queue();
  EXPECT_TRUE(queue.is_full());
  EXPECT_EQ(queue.give_back_all(), ring.driver.size());
  EXPECT_FALSE(queue.is_full());
  EXPECT_TRUE(queue.publish());
  EXPECT_EQ(ring.driver.reap().size(), ring.driver.size());
}

#ifndef NDEBUG
// A guest would miss it until its driver starts anew.
TYPED_TEST(Queue, AChainThatIsLostIsLoudDeathTest) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  QueueRing<TypeParam> ring(4);
  ring.post();
  auto queue = ring.queue();
  Chain chain;
  ASSERT_EQ(queue.take(chain), Take::chain);
  EXPECT_DEATH(queue.publish(), "neither given back, kept nor rewound");
  queue.give_back(chain, 0);
  queue.publish();
}
#endif

// 2.7.7, 2.8.10: without EVENT_IDX the driver's flag decides.
TYPED_TEST(Queue, CallsFollowTheFlag) {
  QueueRing<TypeParam> ring(4);
  ring.post();
  ring.turn();
  EXPECT_TRUE(ring.called);
  ring.driver.want_calls(false);
  ring.post();
  ring.turn();
  EXPECT_FALSE(ring.called);
}

// 2.7.10, 2.8.10: with EVENT_IDX a call is due when the place that the driver has named is passed, in either lap.
TYPED_TEST(Queue, CallsFollowThePlaceThatTheDriverNames) {
  for (const std::uint16_t size : std::array<std::uint16_t, 2>{8, 4}) {
    QueueRing<TypeParam> ring(size, {.event_idx = true});
    ring.start_at(TypeParam::late(size));
    ring.driver.want_call_at(0);
    ring.post();
    ring.turn();
    EXPECT_TRUE(ring.called);
    for (int round = 0; round < 10; ++round) {
      ring.driver.reap();
      ring.driver.want_call_at(2);
      for (const bool expected : {false, false, true, false}) {
        ring.driver.reap();
        ring.post();
        ring.turn();
        EXPECT_EQ(ring.called, expected) << round;
      }
    }
    ring.driver.reap();
    ring.driver.want_call_at(1);  // within a burst
    for (int i = 0; i < 3; ++i) ring.post();
    ring.turn();
    EXPECT_TRUE(ring.called);
  }
}

TYPED_TEST(Queue, TheFirstDecisionAfterAStartIsToCall) {
  QueueRing<TypeParam> ring(8, {.event_idx = true});
  ring.driver.want_call_at(4);
  ring.post();
  ring.turn();
  EXPECT_TRUE(ring.called);
}

TYPED_TEST(Queue, KicksAreAskedForAndDeclined) {
  for (const bool event_idx : {false, true}) {
    QueueRing<TypeParam> ring(8, {.event_idx = event_idx});
    EXPECT_FALSE(set_notifications(ring.layout, ring.cursor, false));
    EXPECT_FALSE(ring.driver.device_wants_kicks());
    ring.post();
    EXPECT_TRUE(set_notifications(ring.layout, ring.cursor, true));  // it came before: no kick will
    EXPECT_TRUE(ring.driver.device_wants_kicks());
    ring.turn();
    if (event_idx) {
      EXPECT_TRUE(ring.driver.device_wants_next_kick());
    }
    EXPECT_FALSE(set_notifications(ring.layout, ring.cursor, true));
  }
}

TYPED_TEST(Queue, AWordChangesWhenSomethingIsMadeAvailable) {
  QueueRing<TypeParam> ring(2);
  for (int i = 0; i < 10; ++i) {
    const Watch watched = watch(ring.layout, ring.cursor);
    EXPECT_EQ(*watched.word, watched.idle);
    ring.post();
    EXPECT_NE(*watched.word, watched.idle);
    const Watch late = watch(ring.layout, ring.cursor);
    EXPECT_NE(*late.word, late.idle);
    ring.turn();
    ring.driver.reap();
  }
}

}  // namespace
}  // namespace vhostx::virtqueue
