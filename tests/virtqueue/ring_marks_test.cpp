// SPDX-License-Identifier: BSD-3-Clause
// What a queue writes into its used ring, where that lies over a border of pages, is marked in the guest's dirty log.
#include <cstring>

#include <gtest/gtest.h>

#include "memory/dirty_log.hpp"
#include "tests/support/fake_driver.hpp"
#include "tests/support/log_file.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::virtqueue {
namespace {

using test::FakeDriver;
using test::FakeGuest;
using test::LogFile;

constexpr std::uint64_t guest_at = 0x10'0000;
constexpr std::size_t guest_bytes = 1 << 16;
constexpr std::uint16_t ring_size = 64;
// The border of two pages is before this offset of the used ring: before nothing, the entries, the avail event.
constexpr std::size_t borders[] = {0, 4, 4 + 8 * ring_size};

struct LoggedRing {
  explicit LoggedRing(std::size_t border)
      : guest({{guest_at, guest_bytes}}),
        driver(guest, ring_size, {.event_idx = true}),
        memory(guest.map()),
        layout(*driver.lay_out(*memory)),
        used_at(guest.allocate(3 * LogFile::page, LogFile::page) + LogFile::page - border),
        log(memory::DirtyLog::map(UniqueFd(::dup(file.fd())), 0, file.bytes()).value()) {
    layout.used = UsedRing(memory->translate(memory::GuestAddress{used_at}, 1).data, ring_size);
    cursor.position.notifications = true;
    cursor.position.signalled_valid = true;
  }

  LogMarks marks() const { return {log.get(), memory::GuestAddress{used_at}}; }
  void look() {
    file.take();
    copy.assign(guest.at(guest_at), guest.at(guest_at) + guest_bytes);
  }
  /// What has changed since look() is marked, and nothing else. How many pages.
  std::size_t expect_exact() {
    std::set<std::uint64_t> changed;
    for (std::size_t at = 0; at < guest_bytes; ++at)
      if (copy[at] != *guest.at(guest_at + at)) changed.insert((guest_at + at) / LogFile::page);
    EXPECT_EQ(file.take(), changed);
    return changed.size();
  }

  FakeGuest guest;
  FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  RingLayout layout;
  std::uint64_t used_at;
  VringCursor cursor;
  LogFile file{memory::DirtyLog::bytes_for({guest_at + guest_bytes})};
  std::shared_ptr<const memory::DirtyLog> log;
  std::vector<std::uint8_t> copy;
};

TEST(RingMarks, OfEntriesIndexAndAvailEvent) {
  for (const std::size_t border : borders) {
    LoggedRing ring(border);
    for (int i = 0; i < 40; ++i) ring.driver.chain().readable(test::bytes("x")).publish();
    ring.look();
    SplitQueue queue(ring.layout, ring.cursor, ring.marks());
    for (Chain chain; queue.take(chain) == Take::chain;) queue.give_back(chain, 7);
    EXPECT_EQ(ring.expect_exact(), 1U) << "entries alone, border " << border;
    queue.publish();
    EXPECT_EQ(ring.expect_exact(), border == 0 ? 1U : 2U) << border;
  }
}

TEST(RingMarks, OfARunOverTheEndOfTheRing) {
  for (const std::size_t border : borders) {
    LoggedRing ring(border);
    ring.driver.start_at(60);
    ring.cursor.position.avail_next = ring.cursor.position.used_next = 60;
    for (int i = 0; i < 20; ++i) ring.driver.chain().readable(test::bytes("x")).publish();
    SplitQueue queue(ring.layout, ring.cursor, ring.marks());
    SplitQueue<LogMarks>::Batch<Shape<Direction::readable, 0, 1, 100>> batch;
    memory::GuestMemory::Hint hint;
    ring.look();
    ASSERT_EQ(batch.load(queue, *ring.memory, std::min<std::uint16_t>(20, queue.ready()), 100, hint), 20);
    queue.give_back(batch.chains(), 0, 20, [](std::size_t) { return 3U; });
    EXPECT_EQ(ring.expect_exact(), 1U) << "entries alone, border " << border;
    queue.take(batch.chains(), 20);
    queue.publish();
    EXPECT_EQ(ring.expect_exact(), border == 0 ? 1U : 2U) << border;
  }
}

TEST(RingMarks, OfAPositionThatIsShownAlone) {
  for (const std::size_t border : borders) {
    LoggedRing ring(border);
    ring.driver.chain().readable(test::bytes("x")).publish();
    SplitQueue queue(ring.layout, ring.cursor, ring.marks());
    ring.look();
    Chain chain;
    ASSERT_EQ(queue.take(chain), Take::chain);
    queue.keep(1);
    queue.publish();
    queue.publish_position();
    EXPECT_EQ(ring.expect_exact(), 1U) << border;
  }
}

TEST(RingMarks, OfNotifications) {
  for (const std::size_t border : borders) {
    LoggedRing ring(border);
    ring.cursor.position.avail_next = 9;
    ring.look();
    set_notifications(ring.layout, ring.cursor, false, ring.marks());
    EXPECT_EQ(ring.expect_exact(), 1U) << border;
    ring.look();
    set_notifications(ring.layout, ring.cursor, true, ring.marks());
    EXPECT_EQ(ring.expect_exact(), border == 0 ? 1U : 2U) << border;
  }
}

TEST(RingMarks, AreNoneOfARingWithoutALog) {
  LoggedRing ring(0);
  ring.driver.chain().readable(test::bytes("x")).publish();
  ring.look();
  SplitQueue queue(ring.layout, ring.cursor, LogMarks{ring.log.get(), std::nullopt});
  EXPECT_EQ(queue.give_back_all(), 1);
  queue.publish();
  EXPECT_TRUE(ring.file.take().empty());
}

}  // namespace
}  // namespace vhostx::virtqueue
