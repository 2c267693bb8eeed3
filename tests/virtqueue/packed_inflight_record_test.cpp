// SPDX-License-Identifier: BSD-3-Clause
// As inflight_record_test.cpp, of packed rings.
#include <functional>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/fake_driver.hpp"
#include "tests/support/packed_inflight_file.hpp"
#include "tests/virtqueue/recorded_life.hpp"
#include "virtqueue/packed_queue.hpp"

namespace vhostx::virtqueue {
namespace {

using test::FakeDriver;
using test::FakeGuest;
using test::InflightFile;
using test::Life;
using test::PackedRecovered;
using test::recorded_at;
using test::recorded_bytes;

constexpr std::uint16_t wrap = PackedPosition::wrap_bit;

constexpr InflightArea::Shape packed_shape(std::uint16_t ring_size) {
  return {.queue_size = ring_size, .kind = RingKind::packed};
}

/// Calls `on_store` after each store that another process could see.
struct PackedCutMarks : LogMarks {
  const std::function<void()>* on_store = nullptr;

  auto stored() const noexcept {
    return [on = on_store] { (*on)(); };
  }
  void mark_ring(std::size_t, std::size_t) const noexcept { (*on_store)(); }
  void mark_table(memory::GuestAddress, std::size_t) const noexcept { (*on_store)(); }
};

struct RecordedPackedRing {
  using Queue = PackedQueue<PackedCutMarks>;

  explicit RecordedPackedRing(std::uint16_t ring_size, std::uint16_t start = wrap, RingFeatures features = {})
      : size(ring_size),
        guest({{recorded_at, recorded_bytes}}),
        driver(guest, size, features, RingKind::packed),
        memory(guest.map()),
        layout(driver.lay_out_any(*memory)->packed),
        file(packed_shape(size).bytes()),
        begin{start},
        area(InflightArea::map(UniqueFd(::dup(file.fd())), 0, packed_shape(size)).value()) {
    if (start != wrap) driver.start_at(start);
    open();
  }

  Result<void> try_open() {
    auto opened = PackedInflightRecord::open(area, 0, layout);
    if (!opened) return opened.error();
    record = *opened;
    if (!record->position()) record->begin({.avail_next = begin.value, .used_next = begin.value});
    cursor = {.position = *record->position()};
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
    PackedCutMarks marks;
    marks.packed_record = record.get();
    marks.on_store = &stored;
    return {layout, cursor, marks};
  }
  PackedRecovered recover() const { return test::recover_packed(file, layout); }

  /// A chain of up to three descriptors.
  std::uint16_t post() {
    auto chain = driver.chain();
    for (int i = 0, count = std::min<int>(1 + next_length++ % 3, driver.free_descriptors()); i < count; ++i)
      chain.readable(test::bytes("x"));
    const std::uint16_t id = chain.publish();
    EXPECT_TRUE(posted.insert(id).second);
    order.push_back(id);
    return id;
  }
  /// The driver takes back what it is given: all of it was posted, and none comes twice.
  void reap() {
    for (const auto& used : driver.reap()) {
      EXPECT_EQ(posted.erase(static_cast<std::uint16_t>(used.head)), 1U) << "id " << used.head;
      std::erase(order, used.head);
    }
  }
  std::vector<std::uint16_t> take_ids() {
    std::vector<std::uint16_t> ids;
    auto burst = queue();
    for (Chain chain; burst.take(chain) == Take::chain;) {
      ids.push_back(chain.id);
      burst.give_back(chain, 0);
    }
    burst.publish();
    return ids;
  }

  std::uint16_t size;
  FakeGuest guest;
  FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  PackedLayout layout;
  InflightFile file;
  PackedPosition begin;
  std::shared_ptr<const InflightArea> area;
  std::shared_ptr<PackedInflightRecord> record;
  VringCursor cursor;
  std::set<std::uint16_t> posted;    // ids that the driver waits for
  std::vector<std::uint16_t> order;  // the same, as they were posted
  std::function<void()> stored = [] {};
  int next_length = 0;
};

/// What the record says, by the specification: in flight and not served together are what the driver waits for, in the
/// order in which it was posted; and a copy of each descriptor is there.
void expect_packed_complete(RecordedPackedRing& ring) {
  ring.reap();
  const PackedRecovered recovered = ring.recover();
  std::vector<std::uint16_t> served;
  for (const auto& chain : recovered.again) {
    served.push_back(chain.id);
    ASSERT_EQ(ring.posted.count(chain.id), 1U) << "id " << chain.id;
    EXPECT_EQ(chain.address, ring.driver.first_buffer(chain.id));
  }
  for (PackedPosition at = recovered.next; at != ring.driver.next();) {
    const auto [id, entries] = ring.layout.find_end(at.index(), ring.layout.table.load(at.index()), ring.size);
    ASSERT_NE(entries, 0U);
    served.push_back(id);
    at = at.after(entries, ring.size);
  }
  EXPECT_EQ(served, ring.order);
}

class PackedRecordLives : public ::testing::TestWithParam<std::uint16_t> {};

TEST_P(PackedRecordLives, EndAfterAnyStoreAndGiveEachChainBackOnce) {
  constexpr int bursts = 12;
  const std::uint16_t size = GetParam();
  std::size_t ends = 0;
  for (std::uint32_t seed = 1; seed <= 25; ++seed) {
    const auto start = static_cast<std::uint16_t>(seed % size | (seed % 2 == 0 ? wrap : 0));
    for (std::size_t stores = 1;; ++stores) {
      RecordedPackedRing ring(size, start);
      if (!Life(ring, seed).run(bursts, stores)) break;
      ++ends;
      expect_packed_complete(ring);
      // A second one ends soon, the third one comes to the end.
      if (Life(ring, seed + 1000).run(3, stores % 23 + 1)) expect_packed_complete(ring);
      Life(ring, seed).finish();
      ASSERT_TRUE(ring.posted.empty()) << "seed " << seed << ", after " << stores << " stores";
    }
  }
  EXPECT_GT(ends, 1000U);
}

INSTANTIATE_TEST_SUITE_P(RingSizes, PackedRecordLives, ::testing::Values(1, 3, 4, 17));

TEST(PackedRecord, ServesWhatWasInFlightFirstAndInItsOrder) {
  RecordedPackedRing ring(9);
  std::vector<std::uint16_t> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(ring.post());  // of 1, 2, 3 and 1 descriptors
  {
    auto burst = ring.queue();  // all but the second and third are kept, which are given back
    for (int i = 0; i < 4; ++i) {
      Chain chain;
      ASSERT_EQ(burst.take(chain), Take::chain);
      if (i == 1 || i == 2)
        burst.give_back(chain, 0);
      else
        burst.keep(1);
    }
    burst.publish();
  }
  ring.reap();
  const std::uint16_t later = ring.post();
  ring.open();
  EXPECT_EQ(ring.record->left(), 2);
  EXPECT_TRUE(ring.recover().again.empty());
  EXPECT_FALSE(is_idle(ring.layout, ring.cursor));
  EXPECT_EQ(ring.take_ids(), (std::vector<std::uint16_t>{ids[0], ids[3], later}));
  ring.reap();
  EXPECT_TRUE(ring.posted.empty());
  ring.open();
  EXPECT_EQ(ring.record->left(), 0);
  EXPECT_TRUE(ring.take_ids().empty());
}

TEST(PackedRecord, OfAnotherRingIsLeftAlone) {
  RecordedPackedRing ring(4);
  ring.post();
  ASSERT_EQ(ring.take_ids().size(), 1U);
  ring.reap();
  ring.driver.start_anew();
  ring.driver.chain().readable(test::bytes("x")).publish();
  ring.begin = {wrap};
  ring.open();
  EXPECT_EQ(ring.record->position()->used_next, PackedPosition{}.value) << "as begin() said";
  EXPECT_EQ(ring.take_ids().size(), 1U);
}

TEST(PackedRecord, BeginsWithWhateverIsInAnAreaOfVersion0) {
  RecordedPackedRing ring(5, 3);
  for (std::size_t at = 0; at < ring.file.bytes(); ++at) ring.file.set(at, static_cast<std::uint8_t>(at * 37));
  ring.file.set(inflight::version_at, std::uint16_t{0});
  ring.open();
  EXPECT_EQ(ring.record->left(), 0);
  EXPECT_EQ(ring.file.get<std::uint16_t>(inflight::version_at), 1);
  EXPECT_EQ(ring.file.get<std::uint16_t>(inflight::desc_num_at), 5);
  EXPECT_EQ(ring.recover().next, PackedPosition{3});
  EXPECT_TRUE(ring.recover().again.empty());
}

// The driver lies: what has the same id is in flight as often as it is there, and all of it comes back.
TEST(PackedRecord, OfAnIdThatIsUsedTwiceStaysWithinBounds) {
  RecordedPackedRing ring(6);
  for (int i = 0; i < 3; ++i) ring.post();
  for (std::uint32_t i = 0; i < 6; ++i) ring.driver.packed(i).id = 7;
  std::vector<Chain> kept(3);
  {
    auto burst = ring.queue();
    for (Chain& chain : kept) ASSERT_EQ(burst.take(chain), Take::chain);
    burst.keep(3);
    burst.publish();
  }
  EXPECT_EQ(ring.recover().again.size(), 3U);
  for (const Chain& chain : kept) {
    auto burst = ring.queue();
    burst.give_back_kept(chain, 0);
    burst.publish();
  }
  EXPECT_TRUE(ring.recover().again.empty());
}

/// A record of a ring of 8 in which three chains of one descriptor are in flight, entries 0 to 2, and one is not taken.
struct DamagedPackedRecord : ::testing::Test, RecordedPackedRing {
  DamagedPackedRecord() : RecordedPackedRing(8, 5) {
    for (int i = 0; i < 4; ++i) driver.chain().readable(test::bytes("x")).publish();
    auto burst = queue();
    Chain chain;
    for (int i = 0; i < 3; ++i) burst.take(chain);
    burst.keep(3);
    burst.publish();
  }
  static std::size_t entry(std::size_t i) { return packed_inflight::header_bytes + i * packed_inflight::entry_bytes; }
};

TEST_F(DamagedPackedRecord, IsGoodWithoutDamage) {
  EXPECT_EQ(refusal(), "accepted");
  EXPECT_EQ(record->left(), 3);
  EXPECT_EQ(take_ids().size(), 4U);
}
TEST_F(DamagedPackedRecord, Version) {
  file.set(inflight::version_at, std::uint16_t{2});
  EXPECT_EQ(refusal(), "in-flight record: version 2, expected 1");
}
TEST_F(DamagedPackedRecord, Size) {
  file.set(inflight::desc_num_at, std::uint16_t{16});
  EXPECT_EQ(refusal(), "in-flight record: desc_num 16, expected 8 as in SET_INFLIGHT_FD");
}
TEST_F(DamagedPackedRecord, Places) {
  file.set(packed_inflight::used_at, std::uint16_t{8});
  EXPECT_EQ(refusal(), "in-flight record: used_idx 8 with wrap counter 0, expected 0 to 7 with 0 or 1");
  file.set(packed_inflight::used_at, std::uint16_t{5});
  file.set(packed_inflight::used_at + 5, std::uint8_t{2});
  EXPECT_EQ(refusal(), "in-flight record: old_used_idx 5 with wrap counter 2, expected 0 to 7 with 0 or 1");
}
TEST_F(DamagedPackedRecord, ListWithACycle) {
  file.set(entry(5) + packed_inflight::next_at, std::uint16_t{4});
  EXPECT_EQ(refusal(), "in-flight record: the list of free entries has entry 4, which is elsewhere");
}
TEST_F(DamagedPackedRecord, ChainThatLeavesTheArea) {
  file.set(entry(1) + packed_inflight::num_at, std::uint16_t{2});
  file.set(entry(1) + packed_inflight::next_at, std::uint16_t{8});
  EXPECT_EQ(refusal(), "in-flight record: a chain in flight has entry 8, expected 0 to 7");
}
TEST_F(DamagedPackedRecord, ChainInAnother) {
  file.set(entry(1) + packed_inflight::num_at, std::uint16_t{2});
  file.set(entry(1) + packed_inflight::next_at, std::uint16_t{0});
  EXPECT_EQ(refusal(), "in-flight record: a chain in flight has entry 0, which is elsewhere");
}
TEST_F(DamagedPackedRecord, ChainOfNothing) {
  file.set(entry(1) + packed_inflight::num_at, std::uint16_t{0});
  EXPECT_EQ(refusal(), "in-flight record: a chain in flight has no descriptors");
}
TEST_F(DamagedPackedRecord, Flag) {
  file.set(entry(1), std::uint8_t{3});
  EXPECT_EQ(refusal(), "in-flight record: inflight of entry 1 is 3, expected 0 or 1");
}
TEST_F(DamagedPackedRecord, MoreThanTheDriverHasMadeAvailable) {
  file.set(packed_inflight::used_at, std::uint64_t{7 | 7 << 16});
  EXPECT_EQ(refusal(), "in-flight record: 3 descriptors are in flight, the driver has made 2 available");
}
TEST_F(DamagedPackedRecord, ChangesNothing) {
  file.set(entry(2), std::uint8_t{3});
  const auto before = file.copy();
  refusal();
  EXPECT_EQ(file.copy(), before);
}
TEST_F(DamagedPackedRecord, OfSplitRings) {
  area = InflightArea::map(UniqueFd(::dup(file.fd())), 0, {.queue_size = 8}).value();
  EXPECT_EQ(refusal(), "the in-flight record is of split rings, expected one of packed rings");
}
TEST_F(DamagedPackedRecord, WithoutRoomForEachEntry) {
  area = InflightArea::map(UniqueFd(::dup(file.fd())), 0, packed_shape(4)).value();
  EXPECT_EQ(refusal(), "the ring has 8 entries, its in-flight record 4: expected at most that many");
}

}  // namespace
}  // namespace vhostx::virtqueue
