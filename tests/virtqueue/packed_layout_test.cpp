// SPDX-License-Identifier: BSD-3-Clause
// VIRTIO 1.2, 2.8: sizes, alignment and extents of a packed ring, and where a ring that is found goes on.
#include "virtqueue/packed_layout.hpp"

#include <array>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/virtqueue/queue_ring.hpp"

namespace vhostx::virtqueue {
namespace {

using memory::FrontEndAddress;
using test::FakeGuest;
using PackedRing = test::QueueRing<test::PackedKind>;

constexpr std::uint64_t guest_base = 0x4000'0000;

class PackedLayoutTest : public ::testing::Test {
 protected:
  std::string lay_out(std::uint64_t descriptors, std::uint64_t driver, std::uint64_t device, std::uint32_t size) {
    const auto at = [this](std::uint64_t offset) {
      return FrontEndAddress{guest_.front_end(guest_base).value + offset};
    };
    auto layout = lay_out_packed(*memory_, {at(descriptors), at(driver), at(device)}, size, {});
    return layout ? "good" : layout.error().message;
  }
  static bool says(const std::string& message, const char* part) { return message.find(part) != std::string::npos; }

  FakeGuest guest_{{{guest_base, 1 << 20}}};
  std::shared_ptr<const memory::GuestMemory> memory_ = guest_.map();
};

TEST_F(PackedLayoutTest, TakesAnySizeUpToItsEnd) {
  for (const std::uint32_t size : {1U, 2U, 3U, 255U, 257U, 32767U, 32768U})
    EXPECT_EQ(lay_out(0, 0xf'0000, 0xf'1000, size), "good") << size;
  for (const std::uint32_t size : {0U, 32769U, 65536U, 0xffff'ffffU}) {
    EXPECT_FALSE(check_packed_size(size)) << size;
    EXPECT_TRUE(says(lay_out(0, 0xf'0000, 0xf'1000, size), std::to_string(size).c_str()));
  }
}

TEST_F(PackedLayoutTest, ChecksAlignmentExtentsAndOverlap) {
  EXPECT_TRUE(says(lay_out(8, 0x1000, 0x2000, 16), "descriptor ring"));
  EXPECT_TRUE(says(lay_out(0, 0x1002, 0x2000, 16), "driver event"));
  EXPECT_TRUE(says(lay_out(0, 0x1000, 0x2002, 16), "device event"));
  const std::uint64_t end = 1 << 20;
  EXPECT_EQ(lay_out(end - 256, 0x1000, 0x2000, 16), "good");
  EXPECT_TRUE(says(lay_out(end - 240, 0x1000, 0x2000, 16), "descriptor ring"));
  EXPECT_TRUE(says(lay_out(0, end, 0x2000, 16), "in no memory region"));
  EXPECT_TRUE(says(lay_out(0, 0xfc, 0x2000, 16), "overlaps"));
  EXPECT_TRUE(says(lay_out(0, 0x1000, 0x1000, 16), "overlaps"));
}

TEST_F(PackedLayoutTest, KnowsTheGuestAddressOfItsTable) {
  const auto at = [this](std::uint64_t offset) { return FrontEndAddress{guest_.front_end(guest_base).value + offset}; };
  const auto layout = lay_out_packed(*memory_, {at(0x4000), at(0x1000), at(0x2000)}, 16, {});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->address.value, guest_base + 0x4000);
}

// ---- PackedLayout::find_position()

constexpr PackedPosition nowhere{0x7fff};

TEST(PackedStart, AFreshRingBeginsAtItsBeginning) {
  for (const std::uint16_t size : std::array<std::uint16_t, 3>{1, 3, 8}) {
    PackedRing ring(size);
    EXPECT_FALSE(ring.layout.was_used());
    for (int i = 0; i < size; ++i) {
      EXPECT_EQ(ring.layout.find_position(nowhere), PackedPosition{});
      ring.post();
      EXPECT_TRUE(ring.layout.was_used());
    }
    EXPECT_EQ(ring.layout.find_position({}), PackedPosition{});  // full: it may be a later lap, too
  }
}

/// A driver shows a chain by its first descriptor, which it writes last.
TEST(PackedStart, AFreshRingIsFoundWhileItsDriverWrites) {
  PackedRing ring(8);
  ring.post();
  ring.driver.chain().writable(1).writable(1).publish();
  const auto head = ring.driver.packed(1);
  ring.driver.packed(1) = {};
  EXPECT_EQ(ring.layout.find_position(nowhere), PackedPosition{});
  ring.driver.packed(1) = head;
  EXPECT_EQ(ring.layout.find_position(nowhere), PackedPosition{});
}

// Against rings in every state that a driver and a device that uses chains in order can come to: what is found is
// right, and something is found wherever ids tell chains apart.
TEST(PackedStart, IsFoundOrNotButNeverWrong) {
  std::mt19937 random(1);
  int found = 0;
  int all = 0;
  for (const bool in_order : {false, true})
    for (int world = 0; world < 300; ++world) {
      const auto size = static_cast<std::uint16_t>(1 + random() % 9);
      PackedRing ring(size, {.in_order = in_order});
      for (int step = 0; step < 60; ++step) {
        const auto entries = 1 + random() % 3;
        if (random() % 2 == 0 && ring.driver.free_descriptors() >= entries) {
          auto chain = ring.driver.chain();
          for (std::size_t i = 0; i < entries; ++i) chain.writable(1);
          chain.publish();
        } else {
          auto queue = ring.queue();
          Chain chain;
          for (auto left = random() % 3; left != 0 && queue.take(chain) == Take::chain; --left)
            queue.give_back(chain, in_order ? 0 : 1);
          queue.publish();
        }
        if (random() % 2 == 0) ring.driver.reap();
        const auto position = ring.layout.find_position(nowhere);
        const PackedPosition truth{ring.cursor.position.used_next};
        ++all;
        found += position ? 1 : 0;
        if (position) {
          ASSERT_EQ(position->value, truth.value) << world << ' ' << step;
        }
        ASSERT_EQ(ring.layout.find_position(truth), truth) << world << ' ' << step;
      }
    }
  EXPECT_GT(found, all / 4) << found << " of " << all;  // rings are small, and ids come back soon
}

// A driver that gives the same id to its next chain, as Linux does where one packet is sent at a time, leaves it open.
TEST(PackedStart, IsNotFoundWhereOneIdFollowsItself) {
  PackedRing ring(4);
  ring.post();
  ring.turn();
  ring.driver.reap();
  ring.post();
  ASSERT_EQ(ring.driver.packed(0).id, ring.driver.packed(1).id);
  EXPECT_EQ(ring.layout.find_position(nowhere), std::nullopt);
  EXPECT_EQ(ring.layout.find_position({0x8001}), PackedPosition{0x8001});
  EXPECT_FALSE(start_position(ring.any, 0x8000));
  EXPECT_TRUE(start_position(ring.any, 0x8001));
}

TEST(PackedStart, TakesBothFormsOfABase) {
  PackedRing ring(5);
  ring.start_at(3);
  const auto place = [&ring](std::uint32_t number) { return start_position(ring.any, number)->avail_next; };
  EXPECT_EQ(place(0x8003), 0x8003);       // DPDK's
  EXPECT_EQ(place(0x8003'8003), 0x8003);  // QEMU's
  EXPECT_EQ(place(0x0001'8004), 1);       // what is between was taken and not used: it is served again
  EXPECT_EQ(place(0x0003), 3);
  EXPECT_EQ(place(0x8000'8000), 3);  // a front-end that does not know better: the ring tells
  EXPECT_EQ(place(0x8000), 3);
  EXPECT_EQ(place(0), 3);
  EXPECT_FALSE(start_position(ring.any, 0x8005));
  EXPECT_FALSE(start_position(ring.any, 0x8005'8001));
  EXPECT_EQ(base_of(RingKind::packed, *start_position(ring.any, 0x8003)), 0x8003'8003U);
  EXPECT_EQ(base_of(RingKind::split, {.avail_next = 7, .used_next = 5}), 7U);
}

}  // namespace
}  // namespace vhostx::virtqueue
