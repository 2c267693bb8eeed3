// SPDX-License-Identifier: BSD-3-Clause
// VIRTIO 1.2, 2.8: sizes, alignment and extents of a packed ring, and where a ring that is found goes on.
#include "virtqueue/packed_layout.hpp"

#include <array>
#include <random>
#include <string>
#include <vector>

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

enum class Device { ours, in_order, other };

/// What a device of another make leaves: no marks, and the rest of a used chain as the driver has written it.
void use_as_another_would(PackedRing& ring) {
  std::vector<test::GuestPackedDescriptor> before;
  for (std::uint32_t i = 0; i < ring.layout.size; ++i) before.push_back(ring.driver.packed(i));
  PackedPosition at{ring.cursor.position.used_next};
  auto queue = ring.queue();
  Chain chain;
  if (queue.take(chain) != Take::chain) return;
  queue.give_back(chain, 1);
  queue.publish();
  ring.driver.packed(at.index()).flags &= static_cast<std::uint16_t>(~Descriptor::next_flag);
  for (std::uint32_t i = 1; i < chain.entries; ++i) {
    at = at.after(1, ring.layout.size);
    ring.driver.packed(at.index()) = before[at.index()];
  }
}

void use_some(PackedRing& ring, Device device, std::uint32_t count) {
  if (device == Device::other) {
    for (; count != 0; --count) use_as_another_would(ring);
    return;
  }
  auto queue = ring.queue();
  Chain chain;
  for (; count != 0 && queue.take(chain) == Take::chain; --count)
    queue.give_back(chain, device == Device::in_order ? 0 : 1);
  queue.publish();
}

bool is_full_of_short_chains(PackedRing& ring) {
  for (std::uint32_t i = 0; i < ring.layout.size; ++i) {
    const std::uint16_t flags = ring.driver.packed(i).flags;
    if (((flags ^ flags >> 8) & packed_avail_flag) == 0 || (flags & Descriptor::next_flag) != 0) return false;
  }
  return true;
}

// Against rings in every state that a driver and a device that uses chains in order can come to: what is found is
// right. Without IN_ORDER, of a device of this library, it is found wherever the ring is not full of long chains.
TEST(PackedStart, IsFoundOrNotButNeverWrong) {
  std::mt19937 random(1);
  for (const Device device : {Device::ours, Device::in_order, Device::other}) {
    int found = 0;
    int all = 0;
    for (int world = 0; world < 300; ++world) {
      const auto size = static_cast<std::uint16_t>(1 + random() % 9);
      PackedRing ring(size, {.in_order = device == Device::in_order});
      for (int step = 0; step < 60; ++step) {
        const auto entries = 1 + random() % 3;
        if (random() % 2 == 0 && ring.driver.free_descriptors() >= entries) {
          auto chain = ring.driver.chain();
          for (std::size_t i = 0; i < entries; ++i) chain.writable(1);
          chain.publish();
        } else {
          use_some(ring, device, static_cast<std::uint32_t>(random() % 3));
        }
        if (random() % 2 == 0) ring.driver.reap();
        // Where chains have several entries, a driver does not fill the ring with short ones.
        if (device == Device::other && is_full_of_short_chains(ring)) continue;
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
    EXPECT_GT(found, device == Device::ours ? all * 3 / 4 : all / 4) << found << " of " << all;  // rings are small
  }
}

// Linux gives the same id to its next packet where it sends one at a time, and keeps receive rings full.
TEST(PackedStart, IsFoundInEveryStateOfChainsOfOneEntry) {
  std::mt19937 random(1);
  for (int world = 0; world < 300; ++world) {
    PackedRing ring(static_cast<std::uint16_t>(1 + random() % 9));
    for (int step = 0; step < 60; ++step) {
      if (random() % 2 == 0)
        use_some(ring, Device::ours, static_cast<std::uint32_t>(random() % 3));
      else if (ring.driver.free_descriptors() != 0)
        ring.post();
      if (random() % 2 == 0) ring.driver.reap();
      const PackedPosition truth{ring.cursor.position.used_next};
      for (const PackedPosition base : {nowhere, PackedPosition{}, truth, truth.after(1, ring.layout.size)})
        ASSERT_EQ(ring.layout.find_position(base), truth) << world << ' ' << step;
    }
  }
}

TEST(PackedStart, IsFoundWhereOneIdFollowsItself) {
  PackedRing ring(4);
  ring.post();
  ring.turn();
  ring.driver.reap();
  ring.post();
  ASSERT_EQ(ring.driver.packed(0).id, ring.driver.packed(1).id);
  EXPECT_EQ(start_position(ring.any, 0x8000)->avail_next, 0x8001);
  EXPECT_EQ(start_position(ring.any, 0x8002)->avail_next, 0x8001);  // of an earlier start
  ring.driver.packed(0).flags &= static_cast<std::uint16_t>(~Descriptor::next_flag);
  EXPECT_EQ(ring.layout.find_position(nowhere), std::nullopt);  // another device: may be the rest of the first chain
  EXPECT_FALSE(start_position(ring.any, 0x8000));
  EXPECT_TRUE(start_position(ring.any, 0x8001));
}

// The device dies before it shows a burst: the next one goes on behind it, and the driver gets all back.
TEST(PackedStart, ABurstThatWasCutIsFinished) {
  for (std::uint32_t entries = 1; entries <= 3; ++entries)
    for (std::uint16_t begin = 0; begin < 12; ++begin)
      for (int burst = 1; burst <= 4; ++burst) {
        PackedRing ring(12);
        ring.start_at(begin);
        for (int i = 0; i < 4 && ring.driver.free_descriptors() >= entries; ++i) {
          auto chain = ring.driver.chain();
          for (std::uint32_t j = 0; j < entries; ++j) chain.writable(1);
          chain.publish();
        }
        auto queue = ring.queue();
        Chain chain;
        for (int i = 0; i < burst && queue.take(chain) == Take::chain; ++i) queue.give_back(chain, 9);
        EXPECT_TRUE(ring.driver.reap().empty());
        const bool shows = burst > 1 || entries > 1;  // else nothing was written
        ring.cursor.position = *start_position(ring.any, 0);
        const auto back = ring.driver.reap();
        EXPECT_EQ(back.size(), shows ? static_cast<std::size_t>(burst) : 0U);
        for (const auto& used : back) EXPECT_EQ(used.length, 0U);
        EXPECT_EQ(ring.turn().size(), 4 - back.size());
        EXPECT_EQ(ring.driver.reap().size(), 4 - back.size());
        EXPECT_EQ(ring.driver.free_descriptors(), 12);
      }
}

/// Of chains of three: the first one's other entries are made to look used before it, the last one first.
TEST(PackedStart, ABurstThatWasCutInsideAChainIsFinished) {
  for (std::uint16_t begin = 0; begin < 12; ++begin)
    for (std::uint32_t whole = 0; whole < 3; ++whole)
      for (std::uint32_t cut = 1; cut <= 2; ++cut) {
        PackedRing ring(12);
        ring.start_at(begin);
        std::vector<std::uint16_t> ids;
        for (int i = 0; i < 4; ++i) ids.push_back(ring.driver.chain().writable(1).writable(1).writable(1).publish());
        const auto mark = [&](std::uint32_t entry, std::uint16_t id) {
          const PackedPosition at = PackedPosition{begin}.after(entry, 12);
          auto& descriptor = ring.driver.packed(at.index());
          descriptor.id = id;
          descriptor.flags = static_cast<std::uint16_t>(at.used() | Descriptor::next_flag);
        };
        for (std::uint32_t i = 0; i < whole; ++i)
          for (std::uint32_t j = i == 0 ? 1 : 0; j < 3; ++j) mark(3 * i + j, ids[i]);
        for (std::uint32_t j = cut; j < 3; ++j) mark(3 * whole + j, ids[whole]);
        EXPECT_TRUE(ring.driver.reap().empty());
        ring.cursor.position = *start_position(ring.any, 0);
        EXPECT_EQ(ring.driver.reap().size(), whole + 1);
        EXPECT_EQ(ring.turn().size(), 3 - whole);
        EXPECT_EQ(ring.driver.reap().size(), 3 - whole);
        EXPECT_EQ(ring.driver.free_descriptors(), 12);
      }
}

TEST(PackedStart, TakesBothFormsOfABaseWhereTheRingDoesNotTell) {
  PackedRing ring(5);
  const auto place = [&ring](std::uint32_t number) { return start_position(ring.any, number)->avail_next; };
  ring.start_at(3);
  for (const std::uint32_t number : {0x8000U, 0U, 0x8000'8000U, 0x8004U, 0x0001'8004U}) EXPECT_EQ(place(number), 3);
  ring.driver.packed(1).flags ^= packed_avail_flag;
  EXPECT_EQ(place(0x8003), 0x8003);       // DPDK's
  EXPECT_EQ(place(0x8003'8003), 0x8003);  // QEMU's
  EXPECT_EQ(place(0x0001'8004), 1);       // what is between was taken and not used: it is served again
  EXPECT_EQ(place(0x0003), 3);
  for (const std::uint32_t number : {0x8000'8000U, 0x8000U, 0U}) EXPECT_FALSE(start_position(ring.any, number));
  EXPECT_FALSE(start_position(ring.any, 0x8005));
  EXPECT_FALSE(start_position(ring.any, 0x8005'8001));
  EXPECT_EQ(base_of(RingKind::packed, *start_position(ring.any, 0x8003)), 0x8003'8003U);
  EXPECT_EQ(base_of(RingKind::split, {.avail_next = 7, .used_next = 5}), 7U);
}

}  // namespace
}  // namespace vhostx::virtqueue
