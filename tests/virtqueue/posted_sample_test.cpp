// SPDX-License-Identifier: BSD-3-Clause
// The sample of posted buffers: which are taken, and what a lying driver cannot do.
#include "virtqueue/posted_sample.hpp"

#include <array>

#include <gtest/gtest.h>

#include "tests/support/fake_driver.hpp"

namespace vhostx::test {
namespace {

constexpr std::uint64_t base = 0x10000;

struct PostedSample : testing::Test {
  FakeGuest guest{{{base, 0x10000}}};
  FakeDriver driver{guest, 8, {.indirect = true}};
  std::shared_ptr<const memory::GuestMemory> memory = guest.map();
  virtqueue::RingLayout layout = *driver.lay_out(*memory);
  std::array<const std::uint8_t*, 4> out{};

  std::size_t sample() { return virtqueue::sample_posted(layout, *memory, out); }
  const std::uint8_t* host(std::uint64_t address) { return memory->translate(memory::GuestAddress{address}, 1).data; }
};

TEST_F(PostedSample, OfAnEmptyRingIsEmpty) { EXPECT_EQ(sample(), 0U); }

TEST_F(PostedSample, TakesTheLargerOfTheFirstTwo) {
  driver.chain().raw(base + 0x8000, 12).raw(base + 0x9000, 1500).publish();
  driver.chain().raw(base + 0xa000, 1500).publish();
  ASSERT_EQ(sample(), 2U);
  EXPECT_EQ(out[0], host(base + 0xa000)) << "the last one first";
  EXPECT_EQ(out[1], host(base + 0x9000));
}

TEST_F(PostedSample, LooksIntoIndirectTables) {
  driver.chain().indirect().raw(base + 0x8000, 12).raw(base + 0x9000, 1500).publish();
  ASSERT_EQ(sample(), 1U);
  EXPECT_EQ(out[0], host(base + 0x9000));
}

TEST_F(PostedSample, TakesNoMoreThanWanted) {
  for (int i = 0; i < 8; ++i) driver.chain().raw(base + 0x8000, 100).publish();
  EXPECT_EQ(sample(), out.size());
}

TEST_F(PostedSample, LeavesOutWhatIsALie) {
  driver.chain().raw(0xdead0000, 1500).publish();        // in no memory
  driver.chain().raw(base + 0x8000, 0).publish();        // empty
  driver.chain().raw(base + 0x8000, 24, 4).publish();    // a table of one and a half, of zeros
  driver.chain().raw(0xdead0000, 1 << 20, 4).publish();  // a table that is nowhere
  driver.descriptor(77) = {.address = base + 0xb000, .length = 100};
  driver.publish_head(77);  // outside of the ring, though something like a descriptor is there
  const std::uint16_t head = driver.chain().raw(base + 0x9000, 12, 1).publish();
  driver.descriptor(head).next = 9999;  // goes on outside
  ASSERT_EQ(sample(), 1U);
  EXPECT_EQ(out[0], host(base + 0x9000));
}

}  // namespace
}  // namespace vhostx::test
