// SPDX-License-Identifier: BSD-3-Clause
// The port's own memory for records of what is in flight.
#include "virtqueue/inflight_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "tests/support/fake_driver.hpp"
#include "virtqueue/inflight_record.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::virtqueue {
namespace {

UniqueFd another(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

/// A ring with two chains that nobody has taken.
struct StoredRing {
  explicit StoredRing(std::uint16_t ring_size)
      : size(ring_size),
        guest({{0x10'0000, 1 << 14}}),
        driver(guest, size),
        memory(guest.map()),
        layout(*driver.lay_out(*memory)) {
    for (int i = 0; i < 2; ++i) driver.chain().readable(test::bytes("x")).publish();
  }
  Result<std::shared_ptr<InflightRecord>> open(const InflightStore& store, std::uint16_t ring) {
    cursor = {.position = resume(layout)};
    return InflightRecord::open(*store.area(ring, size), 0, layout, cursor.position);
  }
  /// Takes all there is and keeps it.
  void lend(InflightRecord& record) {
    SplitQueue<LogMarks> burst(layout, cursor, {.record = &record});
    Chain chain;
    while (burst.take(chain) == Take::chain) burst.keep(1);
    burst.publish();
  }

  std::uint16_t size;
  test::FakeGuest guest;
  test::FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  RingLayout layout;
  VringCursor cursor;
};

TEST(InflightStore, HasARegionForEachRing) {
  const auto store = InflightStore::create(3).value();
  StoredRing ring(64);
  const auto record = ring.open(*store, 1);
  ASSERT_TRUE(record);
  ring.lend(**record);
  const auto adopted = InflightStore::adopt(another(store->fd()), 3);
  ASSERT_TRUE(adopted) << adopted.error().message;
  EXPECT_EQ((*ring.open(**adopted, 1))->left(), 2);
  EXPECT_EQ((*ring.open(**adopted, 0))->left(), 0);
  EXPECT_EQ((*ring.open(**adopted, 2))->left(), 0);
}

TEST(InflightStore, ARecordThatHasEndedBeginsAnewWithARingOfAnySize) {
  const auto store = InflightStore::create(1).value();
  StoredRing ring(64), smaller(16);
  const auto record = ring.open(*store, 0);
  ring.lend(**record);
  EXPECT_FALSE(smaller.open(*store, 0)) << "another ring's";
  (*record)->end();
  const auto next = smaller.open(*store, 0);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ((*next)->left(), 0);
  smaller.lend(**next);
  EXPECT_EQ((*smaller.open(*store, 0))->left(), 2);
}

TEST(InflightStore, HasRoomForTheLargestRing) {
  const auto store = InflightStore::create(2).value();
  const auto area = store->area(1, 32768);
  ASSERT_TRUE(area) << area.error().message;
  EXPECT_EQ((*area)->shape().queue_size, 32768);
}

TEST(InflightStore, AFileThatDoesNotFitIsRefused) {
  const auto store = InflightStore::create(2).value();
  EXPECT_NE(InflightStore::adopt(another(store->fd()), 4).error().message.find("for 4 rings"), std::string::npos);
  UniqueFd shrinks(::memfd_create("shrinks", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(shrinks.get(), static_cast<off_t>(2 * InflightStore::bytes_of_a_ring)), 0);
  EXPECT_NE(InflightStore::adopt(std::move(shrinks), 2).error().message.find("not sealed"), std::string::npos);
}

}  // namespace
}  // namespace vhostx::virtqueue
