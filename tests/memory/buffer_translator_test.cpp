// SPDX-License-Identifier: BSD-3-Clause
// A burst's translations: the same answers as GuestMemory's, whatever the hint says.
#include "memory/buffer_translator.hpp"

#include <array>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/fake_guest.hpp"

namespace vhostx::memory {
namespace {

using test::FakeGuest;

constexpr std::size_t length_max = 100;
using Translator = BufferTranslator<length_max>;
constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

// One region smaller than length_max, one of just that size, one a byte larger, two neighbours, one far away.
const std::vector<FakeGuest::Region> regions{{0x1000, 40},     {0x2000, length_max}, {0x3000, length_max + 1},
                                             {0x4000, 0x1000}, {0x5000, 0x1000},     {std::uint64_t{1} << 45, 0x2000}};

struct BufferTranslatorTest : ::testing::Test {
  GuestMemory::Hint hint_of(std::uint64_t address) const {
    GuestMemory::Hint hint;
    memory->translate(GuestAddress{address}, 1, hint);
    return hint;
  }
  void expect_same(Translator& translator, std::uint64_t address, std::size_t length) const {
    const HostSpan expected = memory->translate(GuestAddress{address}, length);
    const std::uint8_t* found = nullptr;
    const bool good = translator.translate(GuestAddress{address}, length, found);
    ASSERT_EQ(good, static_cast<bool>(expected)) << std::hex << address << " " << length;
    if (good) {
      ASSERT_EQ(found, expected.data) << std::hex << address << " " << length;
    }
  }

  FakeGuest guest{regions};
  std::shared_ptr<const GuestMemory> memory = guest.map();
};

TEST_F(BufferTranslatorTest, EveryAddressAroundEveryEndWithEveryHint) {
  for (const auto& hinted : regions) {
    const GuestMemory::Hint hint = hint_of(hinted.guest);
    ASSERT_EQ(hint.guest, hinted.guest);
    for (const auto& region : regions)
      for (const std::uint64_t end : {region.guest, region.guest + region.size})
        for (std::uint64_t address = end - length_max - 2; address != end + 3; ++address)
          for (const std::size_t length : {1U, 2U, 39U, 40U, 41U, 99U, 100U}) {
            Translator translator(*memory, hint);
            ASSERT_NO_FATAL_FAILURE(expect_same(translator, address, length));
          }
  }
}

TEST_F(BufferTranslatorTest, OneBufferIsFoundInTheHintsRegionAlone) {
  for (const auto& hinted : regions)
    for (const auto& region : regions)
      for (const std::uint64_t end : {region.guest, region.guest + region.size, std::uint64_t{0}})
        for (std::uint64_t address = end - 3; address != end + 3; ++address)
          for (const std::uint64_t length : {std::uint64_t{1}, std::uint64_t{2}, hinted.size, top, top - address + 1}) {
            if (length == 0) continue;
            const std::uint64_t offset = address - hinted.guest;
            const bool inside = address >= hinted.guest && offset < hinted.size && length <= hinted.size - offset;
            const std::uint8_t* found = nullptr;
            SCOPED_TRACE(::testing::Message() << std::hex << hinted.guest << ": " << address << " " << length);
            ASSERT_EQ(translate_near(hint_of(hinted.guest), {address}, length, found), inside);
            if (inside) {
              ASSERT_EQ(found, memory->translate(GuestAddress{address}, length).data);
            }
          }
}

TEST_F(BufferTranslatorTest, OneTranslatorForAllOfThem) {
  std::mt19937_64 random(3);
  Translator translator(*memory, hint_of(0x4000));
  for (int i = 0; i < 20000; ++i) {
    const auto& region = regions[random() % regions.size()];
    const std::uint64_t address = region.guest - 3 + random() % (region.size + 6);
    ASSERT_NO_FATAL_FAILURE(expect_same(translator, address, 1 + random() % length_max));
  }
}

TEST_F(BufferTranslatorTest, NumbersThatWrap) {
  for (const std::uint64_t hinted : {std::uint64_t{0}, std::uint64_t{0x1000}, std::uint64_t{0x4000}}) {
    Translator translator(*memory, hint_of(hinted));
    for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0xfff}, top, top - 50, top - length_max})
      for (const std::size_t length : {std::size_t{1}, std::size_t{60}, length_max})
        ASSERT_NO_FATAL_FAILURE(expect_same(translator, address, length));
  }
}

TEST_F(BufferTranslatorTest, WithoutAHintAndWithoutMemory) {
  const GuestMemory nothing;
  const std::uint8_t* found = nullptr;
  EXPECT_FALSE(Translator(nothing, {}).translate(GuestAddress{0}, 1, found));
  Translator translator(*memory, {});
  ASSERT_NO_FATAL_FAILURE(expect_same(translator, 0, 1));
  ASSERT_NO_FATAL_FAILURE(expect_same(translator, 0x1000, 40));
}

TEST_F(BufferTranslatorTest, TheHintStaysWhileItServes) {
  GuestMemory::Hint hint = hint_of(0x4000);
  Translator translator(*memory, hint);
  const std::uint8_t* found = nullptr;
  ASSERT_TRUE(translator.translate(GuestAddress{0x4010}, 10, found));
  EXPECT_FALSE(translator.translate(GuestAddress{0x9000}, 10, found));
  translator.keep_hint(hint);
  EXPECT_EQ(hint.guest, 0x4000U);
  EXPECT_EQ(hint.size, 0x1000U);
}

TEST(BufferTranslator, TheHintMovesToWhereTheLastOtherBufferLay) {
  FakeGuest guest({{0x1000, 0x1000}, {0x4000, 0x1000}, {0x5000, 0x1000}});
  const auto memory = guest.map();
  GuestMemory::Hint hint;
  ASSERT_TRUE(memory->translate(GuestAddress{0x1000}, 1, hint));
  Translator translator(*memory, hint);
  const std::uint8_t* found = nullptr;
  ASSERT_TRUE(translator.translate(GuestAddress{0x5000}, 10, found));
  ASSERT_TRUE(translator.translate(GuestAddress{0x4000}, 10, found));
  ASSERT_TRUE(translator.translate(GuestAddress{0x1000}, 10, found));  // where the hint said
  translator.keep_hint(hint);
  EXPECT_EQ(hint.guest, 0x4000U);
  EXPECT_EQ(hint.size, 0x1000U);
  EXPECT_EQ(hint.host, memory->translate(GuestAddress{0x4000}, 1).data);
}

// Slots that several regions share: the index names the first of them, the second is found all the same.
TEST(BufferTranslator, RegionsThatShareASlot) {
  FakeGuest guest({{0x1000, 0x1000}, {0x4000, 0x1000}, {std::uint64_t{1} << 62, 0x1000}});
  const auto memory = guest.map();
  Translator translator(*memory, {});
  const std::uint8_t* found = nullptr;
  ASSERT_TRUE(translator.translate(GuestAddress{0x4fff}, 1, found));
  EXPECT_EQ(found, memory->translate(GuestAddress{0x4fff}, 1).data);
  EXPECT_FALSE(translator.translate(GuestAddress{0x4fff}, 2, found));
  EXPECT_FALSE(translator.translate(GuestAddress{0x2000}, 1, found));
}

}  // namespace
}  // namespace vhostx::memory
