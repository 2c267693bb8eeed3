// SPDX-License-Identifier: BSD-3-Clause
// Bytes over the border of two regions, seen as one piece.
#include "memory/window.hpp"

#include <cstring>
#include <string>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "tests/support/emulated_kernel.hpp"
#include "tests/support/fake_guest.hpp"

namespace vhostx::memory {
namespace {

using test::FakeGuest;

constexpr std::uint64_t low = 0x10000;
constexpr std::size_t page = 4096;
constexpr std::size_t region = 4 * page;
constexpr std::uint64_t border = low + region;

std::string refusal(const FakeGuest& guest, std::uint64_t at, std::size_t length) {
  const auto memory = guest.map();
  const auto window = Window::map(*memory, guest.front_end(at), length);
  return window ? "mapped" : window.error().message;
}

struct WindowTest : ::testing::Test {
  void SetUp() override {
    if (!test::has_second_mappings()) GTEST_SKIP() << test::no_second_mapping;
  }
};

TEST_F(WindowTest, ShowsWhatBothRegionsHold) {
  const FakeGuest guest({{low, region}, {border, region}});
  const auto memory = guest.map();
  for (const std::uint64_t before :
       {std::uint64_t{1}, std::uint64_t{16}, std::uint64_t{page}, std::uint64_t{page + 8}}) {
    for (const std::size_t behind : {std::size_t{1}, std::size_t{page}, std::size_t{region}}) {
      const auto window = Window::map(*memory, guest.front_end(border - before), before + behind);
      ASSERT_TRUE(window) << window.error().message;
      const HostSpan bytes = (*window)->bytes();
      ASSERT_EQ(bytes.size, before + behind);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data) % page, (border - before) % page);
      *guest.at(border - before) = 0x11;  // the guest's hand
      *guest.at(border) = 0x22;
      EXPECT_EQ(bytes.data[0], before == 0 ? 0x22 : 0x11);
      EXPECT_EQ(bytes.data[before], 0x22);
      std::memset(unqualified(bytes.data), 0x33, bytes.size);  // ours
      EXPECT_EQ(*guest.at(border - 1), 0x33);
      EXPECT_EQ(*guest.at(border + behind - 1), 0x33);
      EXPECT_EQ(memory->translate(GuestAddress{border}, 1).data[0], 0x33);
      EXPECT_EQ((*window)->lost(), nullptr);
    }
  }
}

TEST_F(WindowTest, KeepsItsRegionsMapped) {
  const FakeGuest guest({{low, region}, {border, region}});
  auto memory = guest.map();
  const auto window = Window::map(*memory, guest.front_end(border - 4), 8);
  ASSERT_TRUE(window);
  const std::weak_ptr<const MappedRegion> first = memory->regions()[0];
  memory.reset();
  EXPECT_FALSE(first.expired());
  *guest.at(border) = 0x44;
  EXPECT_EQ((*window)->bytes().data[4], 0x44);
}

TEST_F(WindowTest, RefusesWhatIsNotInTwoNeighbours) {
  const FakeGuest guest({{low, region}, {border, region}});
  const char* const reason = "not in two adjacent memory regions";
  EXPECT_NE(refusal(guest, low, region), "mapped") << "in one";
  EXPECT_NE(refusal(guest, border, region), "mapped") << "in the last";
  EXPECT_NE(refusal(guest, border - 1, region + 2).find(reason), std::string::npos) << "longer than both";
  const FakeGuest apart({{low, region}, {border + page, region}});
  EXPECT_NE(refusal(apart, border - 1, 2).find(reason), std::string::npos) << "apart for the guest";
  const FakeGuest crossed({{border, region}, {low, region}});
  EXPECT_NE(refusal(crossed, border - 1, 2).find(reason), std::string::npos) << "apart in the front-end";
  const FakeGuest three({{low, region}, {border, page}, {border + page, region}});
  EXPECT_EQ(refusal(three, border - 1, page + 1), "mapped");
  EXPECT_NE(refusal(three, border - 1, page + 2).find(reason), std::string::npos) << "in three";
}

// Where no page ends between them there is no one piece to be had.
TEST(Window, RefusesABorderWithinAPage) {
  UniqueFd file(::memfd_create("odd", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 4 * page), 0);
  const auto part = [&file](std::uint64_t begin, std::size_t size) {
    return MappedRegion::map({.guest = {low + begin}, .front_end = {low + begin}, .size = size, .mmap_offset = begin},
                             UniqueFd(::dup(file.get())))
        .value();
  };
  const auto memory = GuestMemory::create({part(0, page + 16), part(page + 16, page)}, {}).value();
  EXPECT_FALSE(Window::map(*memory, {low + page}, 32));
}

TEST_F(WindowTest, SaysWhichFileHasNoPageAnyMore) {
  ASSERT_TRUE(handle_bus_errors());
  const FakeGuest guest({{low, region}, {border, region}});
  const auto memory = guest.map();
  const auto window = Window::map(*memory, guest.front_end(border - 4), 8);
  ASSERT_TRUE(window);
  ASSERT_EQ(::ftruncate(guest.file(1).get(), 0), 0);
  EXPECT_EQ(static_cast<const volatile std::uint8_t*>((*window)->bytes().data)[4], 0);
  EXPECT_EQ((*window)->lost(), memory->regions()[1].get());
}

// What shows zeroes of our own in place of its file cannot be mapped a second time.
TEST_F(WindowTest, RefusesARegionThatIsLost) {
  ASSERT_TRUE(handle_bus_errors());
  const FakeGuest guest({{low, region}, {border, region}});
  const auto memory = guest.map();
  ASSERT_EQ(::ftruncate(guest.file(1).get(), 0), 0);
  EXPECT_EQ(*static_cast<const volatile std::uint8_t*>(memory->regions()[1]->host()), 0);
  const auto window = Window::map(*memory, guest.front_end(border - 4), 8);
  ASSERT_FALSE(window);
  EXPECT_EQ(window.error().code, ErrorCode::system);
  EXPECT_NE(window.error().message.find("a second time"), std::string::npos) << window.error().message;
}

}  // namespace
}  // namespace vhostx::memory
