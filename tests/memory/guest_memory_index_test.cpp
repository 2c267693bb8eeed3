// SPDX-License-Identifier: BSD-3-Clause
// The index over regions answers as a linear search does, wherever the regions lie.
#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "memory/guest_memory.hpp"

namespace vhostx::memory {
namespace {

constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

struct Place {
  std::uint64_t guest;
  std::uint64_t size;  // the last byte's address is at most `top`
};
using Places = std::vector<Place>;

std::shared_ptr<const GuestMemory> map(const Places& places) {
  std::vector<std::shared_ptr<const MappedRegion>> regions;
  std::uint64_t front_end = 0x1000;
  for (const auto& [guest, size] : places) {
    UniqueFd file(::memfd_create("sparse", MFD_CLOEXEC));  // nobody looks at the bytes
    EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
    auto region = MappedRegion::map({.guest = {guest}, .front_end = {front_end}, .size = size}, std::move(file));
    EXPECT_TRUE(region) << region.error().message;
    regions.push_back(std::move(region).value());
    front_end += size;
  }
  auto memory = GuestMemory::create(std::move(regions), {});
  EXPECT_TRUE(memory) << memory.error().message;
  return std::move(memory).value();
}

/// What translate_prefix() has to answer, by the slowest means.
HostSpan search(const GuestMemory& memory, std::uint64_t address, std::size_t length) {
  for (const auto& region : memory.regions()) {
    const auto& d = region->description();
    if (address < d.guest.value || address - d.guest.value >= d.size) continue;
    const std::uint64_t offset = address - d.guest.value;
    return {region->host() + offset, std::min<std::size_t>(length, d.size - offset)};
  }
  return {};
}

class Checker {
 public:
  explicit Checker(const GuestMemory& memory) : memory_(memory) {}

  /// With a fresh hint, and with the one that was left by whatever came before.
  void check(std::uint64_t address, std::size_t length) {
    const HostSpan expected = search(memory_, address, length);
    GuestMemory::Hint fresh;
    for (auto* hint : {&fresh, &kept_}) {
      const HostSpan prefix = memory_.translate_prefix(GuestAddress{address}, length, *hint);
      ASSERT_EQ(prefix.data, expected.data) << std::hex << address << " " << length;
      ASSERT_EQ(prefix.size, expected.size) << std::hex << address << " " << length;
      const HostSpan whole = memory_.translate(GuestAddress{address}, length, *hint);
      const bool fits = expected.size == length && length != 0;
      ASSERT_EQ(whole.data, fits ? expected.data : nullptr) << std::hex << address << " " << length;
    }
    const auto& likely = memory_.index().likely_region(GuestAddress{address});
    if (address - likely.guest < likely.size) {
      ASSERT_EQ(likely.host + (address - likely.guest), expected.data);
    }
  }

  void check_around(std::uint64_t address) {
    for (const std::uint64_t near : {address - 2, address - 1, address, address + 1})
      for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{100},
                                       std::size_t{0} - 1, std::size_t{0} - static_cast<std::size_t>(near)})
        ASSERT_NO_FATAL_FAILURE(check(near, length));
  }

 private:
  const GuestMemory& memory_;
  GuestMemory::Hint kept_;
};

void check_all(const Places& places, std::mt19937_64& random) {
  const auto memory = map(places);
  Checker checker(*memory);
  checker.check_around(0);
  for (const auto& [guest, size] : places) {
    ASSERT_NO_FATAL_FAILURE(checker.check_around(guest));
    ASSERT_NO_FATAL_FAILURE(checker.check_around(guest + size));
    const std::uint64_t inside = guest + random() % size;
    const auto left = static_cast<std::size_t>(guest + (size - 1) - inside) + 1;
    for (const std::size_t length : {std::size_t{1}, left - 1, left, left + 1})
      ASSERT_NO_FATAL_FAILURE(checker.check(inside, length));
    // Far away, where slots come round again.
    ASSERT_NO_FATAL_FAILURE(checker.check(inside ^ (std::uint64_t{1} << random() % 64), 1));
  }
  for (int i = 0; i < 200; ++i) ASSERT_NO_FATAL_FAILURE(checker.check(random(), random() % 5000));
}

std::uint64_t random_size(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return 1 + random() % 100;
    case 1:
      return 0x1000 * (1 + random() % 8);
    case 2:
      return 0x20'0000 + random() % 0x1000;
    default:
      return 1 + random() % 0x1000'0000;
  }
}

/// Upwards from `at`, with gaps of nothing to 2^gap_bits, until there are `count` or the addresses end.
Places random_places(std::mt19937_64& random, std::uint64_t at, std::size_t count, unsigned gap_bits) {
  Places places;
  while (places.size() < count) {
    const std::uint64_t size = random_size(random);
    if (size - 1 > top - at) break;
    places.push_back({at, size});
    const std::uint64_t gap = random() % 3 == 0 ? 0 : random() >> (63 - random() % (gap_bits + 1));
    if (top - at < size || top - at - size < gap) break;
    at += size + gap;
  }
  std::shuffle(places.begin(), places.end(), random);
  return places;
}

TEST(GuestMemoryIndex, AgreesWithALinearSearch) {
  std::mt19937_64 random(20);
  for (const std::size_t count : {1U, 2U, 3U, 8U, 33U, 512U})
    for (const unsigned gap_bits : {0U, 12U, 30U, 44U, 61U})
      for (const std::uint64_t start :
           {std::uint64_t{0}, std::uint64_t{0x1001}, random() >> 20, top - (std::uint64_t{1} << 33)}) {
        const Places places = random_places(random, start, count, gap_bits);
        if (places.empty()) continue;
        SCOPED_TRACE(::testing::Message() << count << " regions, gaps of 2^" << gap_bits << " from " << start);
        ASSERT_NO_FATAL_FAILURE(check_all(places, random));
      }
}

TEST(GuestMemoryIndex, AnEmptyTableHoldsNothing) {
  const GuestMemory made_by_itself;
  const auto created = map({});
  for (const GuestMemory* memory : {&made_by_itself, created.get()}) {
    Checker checker(*memory);
    for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0x1000}, std::uint64_t{1} << 63, top})
      ASSERT_NO_FATAL_FAILURE(checker.check_around(address));
    EXPECT_EQ(memory->index().likely_region(GuestAddress{0}).size, 0U);
  }
}

TEST(GuestMemoryIndex, BothEndsOfTheAddressSpace) {
  std::mt19937_64 random(1);
  ASSERT_NO_FATAL_FAILURE(check_all({{0, 1}, {top, 1}}, random));
  ASSERT_NO_FATAL_FAILURE(check_all({{top - 0xfff, 0x1000}}, random));
  ASSERT_NO_FATAL_FAILURE(check_all({{0, 0x1000}, {0x1000, 1}, {std::uint64_t{1} << 63, 5}, {top - 4, 5}}, random));
}

// Regions of single bytes want slots of single bytes, up to the last address there is.
TEST(GuestMemoryIndex, SlotsOfOneByteEndWithTheAddresses) {
  std::mt19937_64 random(1);
  ASSERT_NO_FATAL_FAILURE(check_all({{top - 1, 1}, {top, 1}}, random));
  ASSERT_NO_FATAL_FAILURE(check_all({{0, 1}, {1, 1}, {2, 1}}, random));
}

// What a usual guest has costs one look each: 512 slots of 256 MiB as QEMU plugs them in, or memory around the PCI
// hole. (Not the BIOS: 640 KiB and what follows on it share a slot.)
TEST(GuestMemoryIndex, UsualLayoutsAreFoundAtOnce) {
  constexpr std::uint64_t mib = 1 << 20;
  Places plugged;
  for (std::uint64_t i = 0; i < 512; ++i) plugged.push_back({i * 256 * mib, 256 * mib});
  const Places hole{{0, 0xa0000}, {0xc0000, 3072 * mib - 0xc0000}, {4096 * mib, 1024 * mib}};
  for (const Places& places : {plugged, hole}) {
    const auto memory = map(places);
    std::size_t found = 0;
    for (const auto& [guest, size] : places)
      for (const std::uint64_t address : {guest + size / 2, guest + size - 1}) {
        const auto& likely = memory->index().likely_region(GuestAddress{address});
        if (address - likely.guest < likely.size) ++found;
      }
    EXPECT_EQ(found, places.size() * 2);
  }
}

// Gaps so large that slots are shared: each slot still has one of its regions, so that some are found at once.
TEST(GuestMemoryIndex, ASharedSlotHoldsTheFirstOfItsRegions) {
  const auto memory = map({{0x1000, 0x1000}, {0x4000, 0x1000}, {std::uint64_t{1} << 62, 0x1000}});
  EXPECT_EQ(memory->index().likely_region(GuestAddress{0x4000}).guest, 0x1000U);
  EXPECT_EQ(memory->index().likely_region(GuestAddress{std::uint64_t{1} << 62}).guest, std::uint64_t{1} << 62);
  GuestMemory::Hint hint;
  EXPECT_TRUE(memory->translate(GuestAddress{0x4fff}, 1, hint));
  EXPECT_EQ(hint.guest, 0x4000U);
}

}  // namespace
}  // namespace vhostx::memory
