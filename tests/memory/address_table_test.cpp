// SPDX-License-Identifier: BSD-3-Clause
// An AddressTable answers as a linear search does, wherever the entries lie. The entries' bytes are never read: `host`
// may be any number.
#include "memory/address_table.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace vhostx::memory {
namespace {

using Entry = AddressTable::Entry;

constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

struct Place {
  std::uint64_t guest;
  std::uint64_t size;  // the last byte's number is at most `top`
};
using Places = std::vector<Place>;

/// In ascending order, each at a host address of its own that says nothing about the others'.
std::vector<Entry> entries_at(Places places) {
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.guest < b.guest; });
  std::vector<Entry> entries;
  std::uint32_t i = 0;
  for (const auto& [guest, size] : places) {
    const std::uintptr_t host = std::uintptr_t{i * 7919 % 1021 + 1} << 40;
    entries.push_back({guest, size, reinterpret_cast<std::uint8_t*>(host), 12 + i++ % 3 * 9});
  }
  return entries;
}

class Checker {
 public:
  explicit Checker(const Places& places) : entries_(entries_at(places)), table_(entries_) {}

  const AddressTable& table() const { return table_; }

  /// With a fresh hint, and with the one that was left by whatever came before.
  void check(std::uint64_t number, std::size_t length) {
    const Entry* const entry = search(number);
    const HostSpan expected = entry == nullptr ? HostSpan{} : prefix_of(*entry, number, length);
    const bool fits = expected.size == length && length != 0;
    SCOPED_TRACE(::testing::Message() << std::hex << number << " " << length);
    AddressTable::Hint fresh;
    for (auto* hint : {&fresh, &kept_}) {
      const HostSpan prefix = table_.translate_prefix(number, length, *hint);
      ASSERT_EQ(prefix.data, expected.data);
      ASSERT_EQ(prefix.size, expected.size);
      if (entry != nullptr) {
        ASSERT_EQ(hint->guest, entry->guest);
        ASSERT_EQ(hint->page_shift, entry->page_shift);
      }
      ASSERT_EQ(table_.translate(number, length, *hint).data, fits ? expected.data : nullptr);
    }
    ASSERT_EQ(table_.translate(number, length).data, fits ? expected.data : nullptr);
    if (is_found_at_once(number)) {
      ASSERT_EQ(table_.index().likely_entry(number).host, entry->host);
    }
  }

  void check_around(std::uint64_t number) {
    for (const std::uint64_t near : {number - 2, number - 1, number, number + 1})
      for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{100},
                                       std::size_t{0} - 1, std::size_t{0} - static_cast<std::size_t>(near)})
        ASSERT_NO_FATAL_FAILURE(check(near, length));
  }

  bool is_found_at_once(std::uint64_t number) const {
    const Entry& likely = table_.index().likely_entry(number);
    return number - likely.guest < likely.size;
  }

 private:
  /// By the slowest means. Null: no entry holds it.
  const Entry* search(std::uint64_t number) const {
    for (const Entry& entry : entries_)
      if (number >= entry.guest && number - entry.guest < entry.size) return &entry;
    return nullptr;
  }
  static HostSpan prefix_of(const Entry& entry, std::uint64_t number, std::size_t length) {
    const std::uint64_t offset = number - entry.guest;
    return {entry.host + offset, std::min<std::size_t>(length, entry.size - offset)};
  }

  std::vector<Entry> entries_;
  AddressTable table_;
  AddressTable::Hint kept_;
};

void check_all(const Places& places, std::mt19937_64& random) {
  Checker checker(places);
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
      return 1 + (random() >> (28 + random() % 36));
  }
}

/// Upwards from `at`, with gaps of nothing to 2^gap_bits, until there are `count` or the numbers end.
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
  return places;
}

TEST(AddressTable, AgreesWithALinearSearch) {
  std::mt19937_64 random(20);
  for (const std::size_t count : {1U, 2U, 3U, 8U, 33U, 512U})
    for (const unsigned gap_bits : {0U, 12U, 30U, 44U, 61U})
      for (const std::uint64_t start :
           {std::uint64_t{0}, std::uint64_t{0x1001}, random() >> 20, top - (std::uint64_t{1} << 33)}) {
        const Places places = random_places(random, start, count, gap_bits);
        if (places.empty()) continue;
        SCOPED_TRACE(::testing::Message() << count << " entries, gaps of 2^" << gap_bits << " from " << start);
        ASSERT_NO_FATAL_FAILURE(check_all(places, random));
      }
}

TEST(AddressTable, SmallTablesOfManyShapesAgreeWithALinearSearch) {
  std::mt19937_64 random(21);
  for (int i = 0; i < 500; ++i) {
    const Places places =
        random_places(random, random() >> random() % 64, 1 + random() % 12, static_cast<unsigned>(random() % 62));
    if (places.empty()) continue;
    SCOPED_TRACE(::testing::Message() << "table " << i);
    ASSERT_NO_FATAL_FAILURE(check_all(places, random));
  }
}

TEST(AddressTable, AnEmptyOneHoldsNothing) {
  Checker checker({});
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{0x1000}, std::uint64_t{1} << 63, top}) {
    ASSERT_NO_FATAL_FAILURE(checker.check_around(number));
    EXPECT_FALSE(checker.is_found_at_once(number));
  }
}

TEST(AddressTable, BothEndsOfTheNumbers) {
  std::mt19937_64 random(1);
  ASSERT_NO_FATAL_FAILURE(check_all({{0, 1}, {top, 1}}, random));
  ASSERT_NO_FATAL_FAILURE(check_all({{top - 0xfff, 0x1000}}, random));
  ASSERT_NO_FATAL_FAILURE(check_all({{0, 0x1000}, {0x1000, 1}, {std::uint64_t{1} << 63, 5}, {top - 4, 5}}, random));
  constexpr std::uint64_t half = std::uint64_t{1} << 63;
  ASSERT_NO_FATAL_FAILURE(check_all({{0, half}, {half, half}}, random));  // all numbers
}

// Entries of single bytes want slots of single bytes, up to the last number there is.
TEST(AddressTable, SlotsOfOneByteEndWithTheNumbers) {
  std::mt19937_64 random(1);
  ASSERT_NO_FATAL_FAILURE(check_all({{top - 1, 1}, {top, 1}}, random));
  ASSERT_NO_FATAL_FAILURE(check_all({{0, 1}, {1, 1}, {2, 1}}, random));
}

// Far more entries than slots, and more than a slot can name: then there is one slot, and a search.
TEST(AddressTable, MoreEntriesThanSlots) {
  std::mt19937_64 random(1);
  for (const std::uint64_t count : {8193U, 16384U}) {
    Places places;
    for (std::uint64_t i = 0; i < count; ++i) places.push_back({i * 0x3000, 0x1000 + i % 2 * 0x2000});
    Checker checker(places);
    for (int i = 0; i < 200; ++i) {
      const auto& [guest, size] = places[random() % count];
      ASSERT_NO_FATAL_FAILURE(checker.check_around(guest));
      ASSERT_NO_FATAL_FAILURE(checker.check_around(guest + size));
    }
    ASSERT_NO_FATAL_FAILURE(checker.check_around(count * 0x3000));
  }
}

// What a usual guest has costs one look each: 512 slots of 256 MiB as QEMU plugs them in, or memory around the PCI
// hole. (Not the BIOS: 640 KiB and what follows on it share a slot.)
TEST(AddressTable, UsualLayoutsAreFoundAtOnce) {
  constexpr std::uint64_t mib = 1 << 20;
  Places plugged;
  for (std::uint64_t i = 0; i < 512; ++i) plugged.push_back({i * 256 * mib, 256 * mib});
  const Places hole{{0, 0xa0000}, {0xc0000, 3072 * mib - 0xc0000}, {4096 * mib, 1024 * mib}};
  for (const Places& places : {plugged, hole}) {
    const Checker checker(places);
    for (const auto& [guest, size] : places)
      for (const std::uint64_t number : {guest + size / 2, guest + size - 1})
        EXPECT_TRUE(checker.is_found_at_once(number)) << std::hex << number;
  }
}

// Gaps so large that slots are shared: each slot still has one of its entries, so that some are found at once.
TEST(AddressTable, ASharedSlotHoldsTheFirstOfItsEntries) {
  Checker checker({{0x1000, 0x1000}, {0x4000, 0x1000}, {std::uint64_t{1} << 62, 0x1000}});
  const auto& index = checker.table().index();
  EXPECT_EQ(index.likely_entry(0x4000).guest, 0x1000U);
  EXPECT_EQ(index.likely_entry(std::uint64_t{1} << 62).guest, std::uint64_t{1} << 62);
  ASSERT_NO_FATAL_FAILURE(checker.check(0x4fff, 1));
}

TEST(AddressTable, TheHintNeverWidensAnEntry) {
  const AddressTable table(entries_at({{0x1000, 0x1000}, {0x3000, 0x1000}}));
  AddressTable::Hint hint;
  ASSERT_TRUE(table.translate(0x3000, 1, hint));
  EXPECT_FALSE(table.translate(0x2fff, 1, hint));
  EXPECT_FALSE(table.translate(0x3fff, 2, hint));
  EXPECT_TRUE(table.translate(0x1fff, 1, hint));
  EXPECT_FALSE(table.translate(0x4000, 1, hint));
}

TEST(AddressTable, APrefixEndsWithItsEntry) {
  const AddressTable table(entries_at({{0x1000, 0x1000}, {0x2000, 0x1000}}));
  AddressTable::Hint hint;
  EXPECT_EQ(table.translate_prefix(0x1ff0, 64, hint).size, 16U);
  EXPECT_EQ(table.translate_prefix(0x2000, 64, hint).size, 64U);
  EXPECT_FALSE(table.translate(0x1ff0, 64));  // two entries: one span cannot hold it
}

}  // namespace
}  // namespace vhostx::memory
