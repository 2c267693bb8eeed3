// SPDX-License-Identifier: BSD-3-Clause
// Translation, the one bridge from a guest's numbers to pointers.
#include "memory/guest_memory.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "tests/support/fake_guest.hpp"

namespace vhostx::memory {
namespace {

using test::FakeGuest;

constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

std::shared_ptr<const MappedRegion> region(std::uint64_t guest, std::uint64_t front_end, std::uint64_t size) {
  UniqueFd file(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  auto mapped = MappedRegion::map({.guest = {guest}, .front_end = {front_end}, .size = size}, std::move(file));
  EXPECT_TRUE(mapped);
  return std::move(mapped).value();
}

// `size` bytes of a file from `offset` on.
std::shared_ptr<const MappedRegion> view(const UniqueFd& file, std::uint64_t guest, std::uint64_t offset,
                                         std::uint64_t size) {
  auto mapped = MappedRegion::map({.guest = {guest}, .front_end = {guest}, .size = size, .mmap_offset = offset},
                                  UniqueFd(::dup(file.get())));
  EXPECT_TRUE(mapped);
  return std::move(mapped).value();
}

TEST(GuestMemory, AFilesBytesMayBeShownAgainButNotWithoutEnd) {
  const UniqueFd file(::memfd_create("test", MFD_CLOEXEC));
  const UniqueFd other(::memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 0x10000), 0);
  ASSERT_EQ(::ftruncate(other.get(), 0x10000), 0);
  const MemoryLimits limits{.aliased_bytes_max = 0x3000};
  // Halves of one file, and the same bytes of another one: none is shown twice.
  std::vector regions{view(file, 0x100000, 0x8000, 0x8000), view(file, 0x200000, 0, 0x8000),
                      view(other, 0x300000, 0, 0x8000)};
  EXPECT_TRUE(GuestMemory::create(regions, limits));
  regions.push_back(view(file, 0x400000, 0x7000, 0x2000));
  EXPECT_TRUE(GuestMemory::create(regions, limits));
  regions.push_back(view(file, 0x500000, 0x1000, 0x1000));
  EXPECT_TRUE(GuestMemory::create(regions, limits));
  regions.push_back(view(file, 0x600000, 0xf000, 0x1000));
  const auto refused = GuestMemory::create(regions, limits);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::limit);
  EXPECT_EQ(refused.error().message,
            "memory regions map at least 0x4000 bytes of files a second time, at most 0x3000 are allowed");
}

TEST(GuestMemory, TranslatesWhatLiesInOneRegion) {
  FakeGuest guest({{0x1000, 0x2000}, {0x10000, 0x1000}});
  const auto memory = guest.map();
  *guest.at(0x2fff) = 42;
  EXPECT_EQ(*memory->translate(GuestAddress{0x2fff}, 1).data, 42);
  EXPECT_TRUE(memory->translate(GuestAddress{0x1000}, 0x2000));
  EXPECT_TRUE(memory->translate(GuestAddress{0x10fff}, 1));
}

TEST(GuestMemory, RefusesWhatDoesNot) {
  const auto memory = FakeGuest({{0x1000, 0x2000}, {0x10000, 0x1000}}).map();
  EXPECT_FALSE(memory->translate(GuestAddress{0x1000}, 0x2001));
  EXPECT_FALSE(memory->translate(GuestAddress{0xfff}, 1));
  EXPECT_FALSE(memory->translate(GuestAddress{0xfff}, 2));
  EXPECT_FALSE(memory->translate(GuestAddress{0x3000}, 1));
  EXPECT_FALSE(memory->translate(GuestAddress{0x11000}, 1));
  EXPECT_FALSE(memory->translate(GuestAddress{top}, 1));
  EXPECT_FALSE(memory->translate(GuestAddress{top}, top));
  EXPECT_FALSE(memory->translate(GuestAddress{0x1000}, top));
  EXPECT_FALSE(memory->translate(GuestAddress{0x2fff}, top - 0x2ffe));  // the sum wraps to 0
  EXPECT_FALSE(memory->translate(GuestAddress{0x1000}, 0));
  EXPECT_FALSE(GuestMemory().translate(GuestAddress{0}, 1));
}

TEST(GuestMemory, FindsEachOfFiveHundredRegions) {
  std::vector<FakeGuest::Region> regions;
  for (std::uint64_t i = 0; i < 509; ++i) regions.push_back({i * 0x10000, 0x1000});
  FakeGuest guest(regions);
  const auto memory = guest.map();
  std::mt19937_64 random(1);
  GuestMemory::Hint hint;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t address = random() % (509 * 0x10000);
    const HostSpan span = memory->translate(GuestAddress{address}, 1, hint);
    ASSERT_EQ(static_cast<bool>(span), address % 0x10000 < 0x1000) << address;
    if (!span) continue;
    *guest.at(address) = static_cast<std::uint8_t>(i);
    ASSERT_EQ(*span.data, static_cast<std::uint8_t>(i));
  }
}

TEST(GuestMemory, TranslatesFrontEndAddresses) {
  FakeGuest guest({{0x1000, 0x1000}, {0x8000, 0x1000}});
  const auto memory = guest.map();
  *guest.at(0x8010) = 7;
  EXPECT_EQ(*memory->translate(guest.front_end(0x8010), 1).data, 7);
  const auto last = guest.front_end(0x8fff);
  EXPECT_TRUE(memory->translate(last, 1));
  EXPECT_FALSE(memory->translate(last, 2));
  EXPECT_FALSE(memory->translate(FrontEndAddress{top}, 2));
  EXPECT_FALSE(memory->translate(last, 0));
}

TEST(GuestMemory, RefusesOverlap) {
  const auto overlap = [](std::uint64_t guest, std::uint64_t front_end) {
    return GuestMemory::create({region(0x1000, 0x100000, 0x1000), region(guest, front_end, 0x1000)}, {});
  };
  EXPECT_TRUE(overlap(0x2000, 0x101000));
  EXPECT_TRUE(overlap(0x0, 0x0));
  const auto in_guest = overlap(0x1fff, 0x200000);
  ASSERT_FALSE(in_guest);
  EXPECT_NE(in_guest.error().message.find("overlap in guest addresses"), std::string::npos);
  const auto in_front_end = overlap(0x8000, 0x100fff);
  ASSERT_FALSE(in_front_end);
  EXPECT_NE(in_front_end.error().message.find("overlap in front-end addresses"), std::string::npos);
  EXPECT_FALSE(overlap(0x1000, 0x200000));  // the same twice
}

// A front-end that counts by guest addresses (GPA_ADDRESSES): both address spaces are one.
TEST(GuestMemory, RegionsMayHaveOneAddressForBothSpaces) {
  const auto memory = GuestMemory::create({region(0x8000, 0x8000, 0x1000), region(0, 0, 0x1000)}, {});
  ASSERT_TRUE(memory);
  EXPECT_EQ((*memory)->translate(FrontEndAddress{0x8010}, 16).data,
            (*memory)->translate(GuestAddress{0x8010}, 16).data);
  EXPECT_EQ((*memory)->translate(FrontEndAddress{0}, 16).data, (*memory)->translate(GuestAddress{0}, 16).data);
  EXPECT_FALSE((*memory)->translate(FrontEndAddress{0x1000}, 1));
  const auto overlap = GuestMemory::create({region(0x1000, 0x1000, 0x1000), region(0x1fff, 0x1fff, 0x1000)}, {});
  ASSERT_FALSE(overlap);
  EXPECT_NE(overlap.error().message.find("overlap in guest addresses"), std::string::npos) << overlap.error().message;
}

TEST(GuestMemory, HoldsToItsLimits) {
  const auto two = [](const MemoryLimits& limits) {
    return GuestMemory::create({region(0x1000, 0x1000, 0x1000), region(0x4000, 0x4000, 0x1000)}, limits);
  };
  EXPECT_TRUE(two({.regions_max = 2, .bytes_max = 0x2000}));
  EXPECT_FALSE(two({.regions_max = 1, .bytes_max = 0x2000}));
  EXPECT_FALSE(two({.regions_max = 2, .bytes_max = 0x1fff}));
}

TEST(GuestMemory, ARegionLivesAsLongAsItsLastTable) {
  auto shared = region(0x1000, 0x1000, 0x1000);
  const auto before = GuestMemory::create({shared}, {});
  const auto after = GuestMemory::create({shared, region(0x4000, 0x4000, 0x1000)}, {});
  ASSERT_TRUE(before && after);
  std::weak_ptr<const MappedRegion> watched = shared;
  shared.reset();
  auto first = *before;
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(first->translate(GuestAddress{0x1000}, 1).data, (*after)->translate(GuestAddress{0x1000}, 1).data);
}

// What NUMA placement moves: whole pages, in which lies what a translation reads.
TEST(GuestMemory, HasPagesOfItsOwn) {
  FakeGuest guest({{0x1000, 0x2000}, {0x10000, 0x1000}});
  const auto memory = guest.map();
  const auto pages = memory->own_pages();
  const auto holds = [&pages](const void* object) {
    return std::count_if(pages.begin(), pages.end(), [object](const HostSpan& span) {
      return reinterpret_cast<std::uintptr_t>(object) - reinterpret_cast<std::uintptr_t>(span.data) < span.size;
    });
  };
  EXPECT_EQ(holds(memory.get()), 1);
  EXPECT_EQ(holds(reinterpret_cast<const char*>(memory.get() + 1) - 1), 1);
  EXPECT_EQ(holds(&memory->table().index().likely_entry(0x1000)), 1);
  EXPECT_EQ(holds(&guest), 0);
  for (const HostSpan& span : pages) EXPECT_EQ(holds(span.data), 1) << "each is another one";
  for (const HostSpan& span : pages) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(span.data) % page_bytes(), 0U);
    EXPECT_EQ(span.size % page_bytes(), 0U);
    EXPECT_NE(span.size, 0U);
  }
}

}  // namespace
}  // namespace vhostx::memory
