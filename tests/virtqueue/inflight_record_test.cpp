// SPDX-License-Identifier: BSD-3-Clause
// A back-end ends after any of its stores, and another one goes on from the record: each chain is given back once. Then
// records that no back-end has left.
#include <functional>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/fake_driver.hpp"
#include "tests/support/inflight_file.hpp"
#include "tests/virtqueue/recorded_life.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::virtqueue {
namespace {

using test::FakeDriver;
using test::FakeGuest;
using test::InflightFile;
using test::Life;
using test::recorded_at;
using test::recorded_bytes;

constexpr InflightArea::Shape shape_of(std::uint16_t ring_size) { return {.queue_size = ring_size}; }

/// Calls `stored` after each store that another process could see.
struct CutMarks : LogMarks {
  const std::function<void()>* stored = nullptr;

  void mark_ring(std::size_t, std::size_t) const noexcept { (*stored)(); }
  void before_index(std::uint16_t avail_next, std::uint16_t used_begin, std::uint16_t used_end) const noexcept {
    record->before_index(avail_next, used_begin, used_end, [this] { (*stored)(); });
  }
  void after_index(std::uint16_t used_begin, std::uint16_t used_end) const noexcept {
    record->after_index(used_begin, used_end, [this] { (*stored)(); });
  }
};

struct RecordedRing {
  using Queue = SplitQueue<CutMarks>;

  explicit RecordedRing(std::uint16_t ring_size, std::uint16_t start = 0)
      : size(ring_size),
        guest({{recorded_at, recorded_bytes}}),
        driver(guest, size),
        memory(guest.map()),
        layout(*driver.lay_out(*memory)),
        file(shape_of(size).bytes()),
        area(InflightArea::map(UniqueFd(::dup(file.fd())), 0, shape_of(size)).value()) {
    driver.start_at(start);
    open();
  }

  Result<void> try_open() {
    cursor = {.position = resume(layout)};
    auto opened = InflightRecord::open(area, 0, layout, cursor.position);
    if (!opened) return opened.error();
    record = *opened;
    return {};
  }
  void open() {
    const auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  std::string refusal() {
    const auto opened = try_open();
    return opened ? "accepted" : opened.error().message;
  }
  Queue queue() {
    CutMarks marks;
    marks.record = record.get();
    marks.stored = &stored;
    return {layout, cursor, marks};
  }

  std::uint16_t post() {
    const std::uint16_t head = driver.chain().readable(test::bytes("x")).publish();
    EXPECT_TRUE(posted.insert(head).second);
    order.push_back(head);
    return head;
  }
  /// The driver takes back what it is given: all of it was posted, and none comes twice.
  void reap() {
    for (const auto& used : driver.reap()) {
      EXPECT_EQ(posted.erase(static_cast<std::uint16_t>(used.head)), 1U) << "head " << used.head;
      std::erase(order, used.head);
    }
  }
  std::vector<std::uint16_t> take_heads() {
    std::vector<std::uint16_t> heads;
    auto burst = queue();
    for (Chain chain; burst.take(chain) == Take::chain;) {
      heads.push_back(chain.id);
      burst.give_back(chain, 0);
    }
    burst.publish();
    return heads;
  }

  std::uint16_t size;
  FakeGuest guest;
  FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  RingLayout layout;
  InflightFile file;
  std::shared_ptr<const InflightArea> area;
  std::shared_ptr<InflightRecord> record;
  VringCursor cursor;
  std::set<std::uint16_t> posted;    // heads that the driver waits for
  std::vector<std::uint16_t> order;  // the same, as they were posted
  std::function<void()> stored = [] {};
};

/// What the record says, by the specification: in flight and not served together are what the driver waits for, in the
/// order in which it was posted.
void expect_complete(RecordedRing& ring) {
  ring.reap();
  const auto recovered = ring.file.recover(ring.driver.used_index());
  std::vector<std::uint16_t> served = recovered.again;
  for (std::uint16_t at = recovered.position; at != ring.driver.avail_index(); ++at)
    served.push_back(ring.layout.avail.entry(ring.layout.slot(at)));
  EXPECT_EQ(served, ring.order);
}

class InflightRecordLives : public ::testing::TestWithParam<std::uint16_t> {};

TEST_P(InflightRecordLives, EndAfterAnyStoreAndGiveEachChainBackOnce) {
  constexpr int bursts = 12;
  std::size_t ends = 0;
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    for (std::size_t stores = 1;; ++stores) {
      RecordedRing ring(GetParam(), static_cast<std::uint16_t>(0xfff0 + seed));
      if (!Life(ring, seed).run(bursts, stores)) break;
      ++ends;
      expect_complete(ring);
      // A second one ends soon, the third one comes to the end.
      if (Life(ring, seed + 1000).run(3, stores % 23 + 1)) expect_complete(ring);
      Life(ring, seed).finish();
      ASSERT_TRUE(ring.posted.empty()) << "seed " << seed << ", after " << stores << " stores";
    }
  }
  EXPECT_GT(ends, 1000U);
}

INSTANTIATE_TEST_SUITE_P(RingSizes, InflightRecordLives, ::testing::Values(1, 2, 4, 16));

TEST(InflightRecord, ServesWhatWasInFlightFirstAndInItsOrder) {
  RecordedRing ring(8);
  std::vector<std::uint16_t> heads;
  for (int i = 0; i < 5; ++i) heads.push_back(ring.post());
  {
    auto burst = ring.queue();  // all but the second are kept, which is given back
    for (const std::uint16_t head : heads) {
      Chain chain;
      ASSERT_EQ(burst.take(chain), Take::chain);
      if (head == heads[1])
        burst.give_back(chain, 0);
      else
        burst.keep(1);
    }
    burst.publish();
  }
  const std::uint16_t later = ring.post();
  ring.open();
  EXPECT_EQ(ring.record->left(), 4);
  EXPECT_FALSE(is_idle(ring.layout, ring.cursor));
  EXPECT_EQ(pending(ring.layout, ring.cursor), 5);
  EXPECT_EQ(ring.take_heads(), (std::vector<std::uint16_t>{heads[0], heads[2], heads[3], heads[4], later}));
  EXPECT_EQ(ring.record->left(), 0);
  ring.reap();
  EXPECT_TRUE(ring.posted.empty());
  ring.open();
  EXPECT_TRUE(ring.take_heads().empty());
}

// The next one may end before it has taken all of them.
TEST(InflightRecord, OfChainsThatAreServedAgainKeepsTheirOrder) {
  RecordedRing ring(8);
  std::vector<std::uint16_t> heads;
  for (int i = 0; i < 3; ++i) heads.push_back(ring.post());
  for (const int taken : {3, 1}) {
    auto burst = ring.queue();
    Chain chain;
    for (int i = 0; i < taken; ++i) ASSERT_EQ(burst.take(chain), Take::chain);
    burst.keep(static_cast<std::uint16_t>(taken));
    burst.publish();
    ring.open();
  }
  EXPECT_EQ(ring.take_heads(), heads);
}

TEST(InflightRecord, OfABurstThatKeepsNothingHasNoMarks) {
  RecordedRing ring(8);
  ring.post();
  ring.post();
  std::size_t marks = 0;
  ring.stored = [&] {
    for (std::uint16_t head = 0; head < 8; ++head) marks += ring.file.get<std::uint8_t>(InflightFile::entry(head));
  };
  EXPECT_EQ(ring.take_heads().size(), 2U);
  EXPECT_EQ(marks, 0U);
  EXPECT_EQ(ring.file.get<std::uint16_t>(14), 2) << "used_idx";
}

TEST(InflightRecord, BeginsWithWhateverIsInAnAreaOfVersion0) {
  RecordedRing ring(8, 500);
  for (std::uint16_t head = 0; head < 8; ++head) ring.file.set_entry(head, 1, 9, head);
  ring.file.set_header(0, 77, 4711, 3);
  ring.open();
  EXPECT_EQ(ring.record->left(), 0);
  EXPECT_EQ(ring.file.get<std::uint16_t>(8), 1) << "version";
  EXPECT_EQ(ring.file.get<std::uint16_t>(10), 8) << "desc_num";
  EXPECT_EQ(ring.file.get<std::uint16_t>(14), 500) << "used_idx";
  EXPECT_TRUE(ring.file.recover(500).again.empty());
}

// A driver that was reset, or a guest that came from elsewhere.
TEST(InflightRecord, WithNothingInFlightFitsAnyRing) {
  RecordedRing ring(8);
  ring.file.set_header(1, 8, 3, 4711);
  ring.open();
  EXPECT_EQ(ring.record->left(), 0);
  EXPECT_EQ(ring.file.get<std::uint16_t>(14), 0) << "used_idx";
}

/// Records of a ring of 8 whose used->idx is 100, with 8 chains available.
struct DamagedRecord : ::testing::Test, RecordedRing {
  DamagedRecord() : RecordedRing(8, 100) {
    for (int i = 0; i < 8; ++i) post();
    file.set_header(1, 8, 2, 100);
    file.set_entry(2, 1, 0, 5);
  }
};

TEST_F(DamagedRecord, IsGoodWithoutDamage) {
  EXPECT_EQ(refusal(), "accepted");
  EXPECT_EQ(record->left(), 1);
}
TEST_F(DamagedRecord, Version) {
  file.set_header(2, 8, 2, 100);
  EXPECT_EQ(refusal(), "in-flight record: version 2, expected 1");
}
TEST_F(DamagedRecord, Size) {
  file.set_header(1, 16, 2, 100);
  EXPECT_EQ(refusal(), "in-flight record: desc_num 16, expected 8 as in SET_INFLIGHT_FD");
}
TEST_F(DamagedRecord, LastBatchHead) {
  file.set_header(1, 8, 8, 100);
  EXPECT_EQ(refusal(), "in-flight record: last_batch_head 8, expected 0 to 7");
}
TEST_F(DamagedRecord, UsedIndex) {
  file.set_header(1, 8, 2, 91);
  EXPECT_EQ(refusal(), "in-flight record: used_idx 91 does not fit the ring's used->idx 100, expected at most 8 less");
  file.set_header(1, 8, 2, 101);
  EXPECT_NE(refusal(), "accepted");
}
TEST_F(DamagedRecord, ListWithACycle) {
  file.set_header(1, 8, 2, 97);
  file.set_entry(2, 1, 3, 5);
  file.set_entry(3, 1, 2, 6);
  EXPECT_EQ(refusal(), "in-flight record: the last batch of 3 chains has entry 2 twice");
}
TEST_F(DamagedRecord, ListThatLeavesTheArea) {
  file.set_header(1, 8, 2, 98);
  file.set_entry(2, 1, 8, 5);
  EXPECT_EQ(refusal(), "in-flight record: the last batch has entry 8, expected 0 to 7");
}
TEST_F(DamagedRecord, Flag) {
  file.set_entry(4, 3, 0, 6);
  EXPECT_EQ(refusal(), "in-flight record: inflight of entry 4 is 3, expected 0 or 1");
}
TEST_F(DamagedRecord, MoreThanTheDriverHasMadeAvailable) {
  driver.set_avail_index(101);
  file.set_entry(3, 1, 0, 6);
  EXPECT_EQ(refusal(), "in-flight record: 2 chains are in flight, the driver has made 1 available");
}
TEST_F(DamagedRecord, ChangesNothing) {
  file.set_entry(4, 3, 0, 6);
  const auto before = file.copy();
  refusal();
  EXPECT_EQ(file.copy(), before);
}

TEST(InflightRecord, OfALargerAreaHasNoHeadBeyondItsRing) {
  RecordedRing ring(8);
  InflightFile larger(shape_of(16).bytes());
  larger.set_header(1, 16, 0, 0);
  ring.area = InflightArea::map(UniqueFd(::dup(larger.fd())), 0, shape_of(16)).value();
  EXPECT_EQ(ring.refusal(), "accepted");
  larger.set_entry(9, 1, 0, 1);
  EXPECT_EQ(ring.refusal(), "in-flight record: entry 9 is in flight, the ring has 8 entries");
}

TEST(InflightRecord, NeedsRoomForEachEntry) {
  RecordedRing ring(8);
  const InflightFile smaller(shape_of(4).bytes());
  ring.area = InflightArea::map(UniqueFd(::dup(smaller.fd())), 0, shape_of(4)).value();
  EXPECT_EQ(ring.refusal(), "the ring has 8 entries, its in-flight record 4: expected at most that many");
}

// The driver lies: what it makes available twice is in flight once.
TEST(InflightRecord, OfAHeadThatIsAvailableTwiceStaysWithinBounds) {
  RecordedRing ring(4);
  const std::uint16_t head = ring.driver.chain().readable(test::bytes("x")).publish();
  for (int i = 0; i < 3; ++i) ring.driver.publish_head(head);
  {
    auto burst = ring.queue();
    Chain chain;
    for (int i = 0; i < 4; ++i) ASSERT_EQ(burst.take(chain), Take::chain);
    burst.keep(4);
    burst.publish();
  }
  ring.open();
  EXPECT_EQ(ring.record->left(), 1);
  EXPECT_EQ(ring.take_heads().size(), 4U);
}

TEST(InflightArea, HasTheSizesOfOthers) {
  EXPECT_EQ(shape_of(256).region_bytes(), 16 + 16 * 256 + 48U);
  EXPECT_EQ(shape_of(1).region_bytes(), 64U);
  EXPECT_EQ((InflightArea::Shape{4, 3}.bytes()), 4 * 64U);
  EXPECT_EQ((InflightArea::Shape{4, 3, RingKind::packed}.bytes()), 4 * 128U);
}

}  // namespace
}  // namespace vhostx::virtqueue
