// SPDX-License-Identifier: BSD-3-Clause
// VIRTIO 1.2, 2.7: sizes, alignment and extents, checked whenever a ring starts.
#include "virtqueue/ring_layout.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tests/support/emulated_kernel.hpp"
#include "tests/support/fake_driver.hpp"

namespace vhostx::virtqueue {
namespace {

using memory::FrontEndAddress;
using test::FakeDriver;
using test::FakeGuest;

constexpr std::uint64_t base = 0x4000'0000;

class RingLayoutTest : public ::testing::Test {
 protected:
  /// Lays a ring of `size` out at these offsets into guest memory of 1 MiB.
  std::string lay_out(std::uint64_t descriptors, std::uint64_t avail, std::uint64_t used, std::uint32_t size,
                      RingFeatures features = {}) {
    const auto at = [this](std::uint64_t offset) { return FrontEndAddress{guest_.front_end(base).value + offset}; };
    auto layout = lay_out_ring(*memory_, {at(descriptors), at(avail), at(used)}, size, features);
    return layout ? "good" : layout.error().message;
  }
  static bool says(const std::string& message, const char* part) { return message.find(part) != std::string::npos; }

  FakeGuest guest_{{{base, 1 << 20}}};
  std::shared_ptr<const memory::GuestMemory> memory_ = guest_.map();
};

TEST_F(RingLayoutTest, TakesEveryPowerOfTwo) {
  FakeGuest guest({{base, 4 << 20}});
  for (std::uint32_t size = 1; size <= 32768; size *= 2) {
    EXPECT_TRUE(check_ring_size(size)) << size;
    FakeDriver driver(guest, static_cast<std::uint16_t>(size));
    EXPECT_TRUE(driver.lay_out(*guest.map())) << size;
  }
}

TEST_F(RingLayoutTest, RefusesOtherSizes) {
  for (std::uint32_t size : {0U, 3U, 255U, 257U, 32767U, 32769U, 65536U, 0x8000'0000U, 0xffff'ffffU}) {
    const auto checked = check_ring_size(size);
    ASSERT_FALSE(checked) << size;
    EXPECT_TRUE(says(checked.error().message, std::to_string(size).c_str()));
  }
}

TEST_F(RingLayoutTest, ChecksAlignment) {
  EXPECT_EQ(lay_out(0, 0x1000, 0x2000, 16), "good");
  EXPECT_TRUE(says(lay_out(8, 0x1000, 0x2000, 16), "descriptor table"));
  EXPECT_TRUE(says(lay_out(0, 0x1001, 0x2000, 16), "avail ring"));
  EXPECT_TRUE(says(lay_out(0, 0x1000, 0x2002, 16), "used ring"));
}

TEST_F(RingLayoutTest, ChecksWholeExtents) {
  const std::uint64_t end = 1 << 20;
  EXPECT_EQ(lay_out(end - 256, 0x1000, 0x2000, 16), "good");
  EXPECT_TRUE(says(lay_out(end - 240, 0x1000, 0x2000, 16), "descriptor table"));
  EXPECT_EQ(lay_out(0, end - 36, 0x2000, 16), "good");
  EXPECT_TRUE(says(lay_out(0, end - 36, 0x2000, 16, {.event_idx = true}), "avail ring"));  // used_event
  EXPECT_EQ(lay_out(0, 0x1000, end - 132, 16), "good");
  EXPECT_TRUE(says(lay_out(0, 0x1000, end - 132, 16, {.event_idx = true}), "used ring"));  // avail_event
  EXPECT_TRUE(says(lay_out(0, 0x1000, end, 16), "in no memory region"));
  EXPECT_TRUE(says(lay_out(0 - guest_.front_end(base).value, 0x1000, 0x2000, 16), "in no memory region"));
}

// A virtio-mem device with several slots makes such rings.
TEST(RingLayoutOverTwoRegions, IsOneRing) {
  if (!test::has_second_mappings()) GTEST_SKIP() << test::no_second_mapping;
  FakeGuest guest({{base, 0x4000}, {base + 0x4000, 0x4000}});
  const auto memory = guest.map();
  const auto at = [&guest](std::uint64_t offset) { return guest.front_end(base + offset); };
  const auto layout = lay_out_ring(*memory, {at(0x3f80), at(0x1000), at(0x2000)}, 16, {});
  ASSERT_TRUE(layout) << layout.error().message;
  guest.at_as<Descriptor>(base + 0x3f80)[3].length = 33;
  guest.at_as<Descriptor>(base + 0x4000)[4].length = 1212;
  EXPECT_EQ(layout->descriptor(3).length(), 33U);
  EXPECT_EQ(layout->descriptor(12).length(), 1212U);
  EXPECT_NE(layout->windows[0], nullptr);
  EXPECT_EQ(layout->windows[1], nullptr);
  for (const std::uint64_t other : {0x1000U, 0x2000U}) {
    EXPECT_TRUE(lay_out_ring(*memory, {at(0), at(0x4000 - 20), at(other)}, 16, {.event_idx = true}));
    EXPECT_TRUE(lay_out_ring(*memory, {at(0), at(other), at(0x4000 - 20)}, 16, {.event_idx = true}));
  }
}

TEST_F(RingLayoutTest, ChecksOverlap) {
  EXPECT_TRUE(says(lay_out(0, 0xfe, 0x2000, 16), "overlaps"));
  EXPECT_TRUE(says(lay_out(0, 0x1000, 0x1020, 16), "overlaps"));
  EXPECT_TRUE(says(lay_out(0, 0x1000, 0, 16), "overlaps"));
}

}  // namespace
}  // namespace vhostx::virtqueue
