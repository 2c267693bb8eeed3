// SPDX-License-Identifier: BSD-3-Clause
// What SequenceTracker makes of packets that come late, twice, or not at all.
#include <memory>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tools/bench/sequence_tracker.hpp"

namespace vhostx::tools::bench {
namespace {

struct Stream {
  void arrive(std::uint64_t first, std::uint64_t end) {
    for (std::uint64_t i = first; i < end; ++i) tracker.record(i);
  }
  SequenceTracker tracker;
};

TEST(SequenceTracker, FindsNothingInAStreamThatIsWhole) {
  Stream stream;
  stream.arrive(0, 3 * SequenceTracker::window + 17);
  EXPECT_EQ(stream.tracker.received(), 3 * SequenceTracker::window + 17);
  EXPECT_EQ(stream.tracker.next(), 3 * SequenceTracker::window + 17);
  EXPECT_EQ(stream.tracker.lost(3 * SequenceTracker::window + 17), 0U);
  EXPECT_EQ(stream.tracker.duplicated() + stream.tracker.reordered() + stream.tracker.late(), 0U);
}

TEST(SequenceTracker, CountsHolesAndAMissingEndAsLost) {
  Stream stream;
  stream.arrive(1, 100);
  stream.arrive(163, 200);
  EXPECT_EQ(stream.tracker.lost(200), 1U + 63U);
  EXPECT_EQ(stream.tracker.lost(210), 1U + 63U + 10U);
}

TEST(SequenceTracker, TellsLateFromTwice) {
  Stream stream;
  stream.arrive(0, 10);
  stream.arrive(11, 20);
  stream.tracker.record(10);
  EXPECT_EQ(stream.tracker.reordered(), 1U);
  EXPECT_EQ(stream.tracker.duplicated(), 0U);
  stream.tracker.record(10);
  stream.tracker.record(19);
  EXPECT_EQ(stream.tracker.duplicated(), 2U);
  EXPECT_EQ(stream.tracker.received(), 20U);
  EXPECT_EQ(stream.tracker.lost(20), 0U);
}

TEST(SequenceTracker, DoesNotGuessBeyondItsWindow) {
  Stream stream;
  stream.arrive(0, 5);
  stream.tracker.record(10 * SequenceTracker::window);
  stream.tracker.record(7);
  stream.tracker.record(3);
  EXPECT_EQ(stream.tracker.late(), 2U);
  EXPECT_EQ(stream.tracker.received(), 6U);
  EXPECT_EQ(stream.tracker.duplicated() + stream.tracker.reordered(), 0U);
}

TEST(SequenceTracker, RemembersNothingOfTheLapBefore) {
  Stream stream;
  stream.arrive(0, SequenceTracker::window);
  // The same places in the window, every other one missing: stragglers there are new, not twice.
  for (std::uint64_t i = 0; i < SequenceTracker::window; i += 2) stream.tracker.record(SequenceTracker::window + i);
  stream.tracker.record(2 * SequenceTracker::window - 1);
  stream.tracker.record(2 * SequenceTracker::window - 3);
  EXPECT_EQ(stream.tracker.duplicated(), 0U);
  EXPECT_EQ(stream.tracker.reordered(), 1U);
}

TEST(SequenceTracker, AgreesWithASet) {
  std::mt19937 random(1);
  SequenceTracker tracker;
  std::set<std::uint64_t> seen;
  std::uint64_t duplicated = 0;
  for (std::uint64_t base = 0; base < 200'000; ++base) {
    const std::uint64_t number = base + random() % 200;
    tracker.record(number);
    duplicated += seen.insert(number).second ? 0 : 1;
  }
  EXPECT_EQ(tracker.received(), seen.size());
  EXPECT_EQ(tracker.duplicated(), duplicated);
  EXPECT_EQ(tracker.late(), 0U);
}

}  // namespace
}  // namespace vhostx::tools::bench
