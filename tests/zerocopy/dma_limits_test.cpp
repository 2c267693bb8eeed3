// SPDX-License-Identifier: BSD-3-Clause
// EAL's table of memory is finite and the whole process's: what is beyond a bound has no mapping, and nothing else
// breaks.
#include <string>

#include <gtest/gtest.h>
#include <rte_config.h>

#include "tests/support/emulated_kernel.hpp"
#include "tests/zerocopy/dma_fixture.hpp"
#include "zerocopy/dma_memory.hpp"

namespace vhostx::zerocopy {
namespace {

class DmaLimitsTest : public DmaTest {
 protected:
  void SetUp() override {
    if (physical()) GTEST_SKIP() << "takes more regions than there are huge pages";
    DmaTest::SetUp();
  }
};

Memory many_regions(std::size_t count) {
  std::vector<Region> regions;
  for (std::size_t i = 0; i < count; ++i) regions.push_back(ordinary_region(i * 2 * small_page, small_page));
  return table_of(std::move(regions));
}

// Each region is found where EAL knows it, and nowhere else.
void expect_consistent(const DmaMemory& dma) {
  std::size_t mapped = 0;
  for (const Region& region : dma.memory().regions()) {
    const auto piece = dma.find(region->host(), small_page);
    ASSERT_EQ(piece.size, small_page);
    ASSERT_EQ(piece.iova, eal_knows(region->host()) ? as_iova(region->host()) : RTE_BAD_IOVA);
    if (piece.iova != RTE_BAD_IOVA) ++mapped;
  }
  EXPECT_EQ(mapped, dma.regions_mapped());
}

// EAL would log an error for each table that a front-end brings, and wait for who reads its log.
TEST_F(DmaLimitsTest, SurvivesTheEndOfEalsTableWithoutAWordOfEals) {
  testing::internal::CaptureStderr();
  const std::size_t room = RTE_MAX_MEMSEG_LISTS - memory_lists();
  for (int round = 0; round < 3; ++round) {  // what one round leaves behind, the next lacks
    const auto dma = DmaMemory::create(many_regions(512), nullptr, {.regions_max = 512});
    EXPECT_EQ(dma->regions(), 512U);
    EXPECT_EQ(dma->regions_mapped(), room);
    EXPECT_NE(dma->reason().find("EAL has " + std::to_string(RTE_MAX_MEMSEG_LISTS) + " memory areas"),
              std::string::npos)
        << dma->reason();
    EXPECT_NE(dma->reason().find("No space left"), std::string::npos) << dma->reason();
    expect_consistent(*dma);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(DmaLimitsTest, WhatIsRegisteredStaysWhenTheTableIsFull) {
  const Region known = ordinary_region(std::uint64_t{1} << 40, small_page);
  const auto before = DmaMemory::create(table_of({known}), nullptr);
  const Memory many = many_regions(500);
  auto regions = many->regions();
  regions.push_back(known);
  const auto after = DmaMemory::create(table_of(regions), before.get(), {.regions_max = 512});
  EXPECT_EQ(after->find(known->host(), 1).iova, as_iova(known->host()));
  EXPECT_EQ(memory_lists(), RTE_MAX_MEMSEG_LISTS);
  expect_consistent(*after);
}

TEST_F(DmaLimitsTest, OnePortLeavesRoomForOthers) {
  const auto greedy = DmaMemory::create(many_regions(512), nullptr);
  EXPECT_EQ(greedy->regions_mapped(), DmaLimits{}.regions_max);
  EXPECT_NE(greedy->reason().find("limit"), std::string::npos) << greedy->reason();
  expect_consistent(*greedy);
  const auto modest = DmaMemory::create(many_regions(8), nullptr);
  EXPECT_EQ(modest->regions_mapped(), 8U) << modest->reason();

  // A next table does not get around the bound.
  auto regions = greedy->memory().regions();
  regions.pop_back();
  regions.push_back(ordinary_region(std::uint64_t{1} << 40, small_page));
  const auto next = DmaMemory::create(table_of(regions), greedy.get());
  EXPECT_EQ(next->regions_mapped(), DmaLimits{}.regions_max);
  expect_consistent(*next);
}

TEST_F(DmaLimitsTest, EntriesAreBounded) {
  const Region odd = ordinary_region(0, 101 * small_page);  // no larger entries fit
  const Region next = ordinary_region(0x4000'0000, 101 * small_page);
  const auto one = DmaMemory::create(table_of({odd, next}), nullptr, {.pages_max = 201});
  EXPECT_EQ(one->regions_mapped(), 1U);
  EXPECT_NE(one->reason().find("101 pages of 0x1000 bytes, the limit leaves 100"), std::string::npos) << one->reason();
  const auto both = DmaMemory::create(table_of({odd, next}), one.get(), {.pages_max = 202});
  EXPECT_EQ(both->regions_mapped(), 2U) << both->reason();
}

// A file may be as large as it says, and hold nothing.
TEST_F(DmaLimitsTest, AHugeOddRegionCostsNothing) {
  if (!test::has_terabytes()) GTEST_SKIP() << test::no_terabytes;
  const Region region = ordinary_region(0, (std::size_t{1} << 43) + small_page);
  ASSERT_NE(region, nullptr);
  const auto dma = DmaMemory::create(table_of({region}), nullptr);
  EXPECT_EQ(dma->regions_mapped(), 0U);
  EXPECT_NE(dma->reason().find("the limit leaves"), std::string::npos) << dma->reason();
}

// Without the shortcut for tables that are mapped as a whole.
TEST_F(DmaLimitsTest, FindsPageByPageBesideARegionWithoutMapping) {
  const Region mapped = ordinary_region(0, 9 * small_page);
  const Region unmapped = ordinary_region(0x4000'0000, 9 * small_page);
  const auto dma = DmaMemory::create(table_of({mapped, unmapped}), nullptr, {.regions_max = 1});
  ASSERT_EQ(dma->regions_mapped(), 1U);
  for (std::size_t at = 0; at < 9 * small_page; at += 509) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{4095}, std::size_t{4096}, std::size_t{4097}}) {
      const std::size_t expected = std::min(size, 9 * small_page - at);
      const auto there = dma->find(mapped->host() + at, size);
      ASSERT_EQ(there.iova, as_iova(mapped->host() + at));
      ASSERT_EQ(there.size, expected);
      const auto nowhere = dma->find(unmapped->host() + at, size);
      ASSERT_EQ(nowhere.iova, RTE_BAD_IOVA);
      ASSERT_EQ(nowhere.size, expected);
    }
  }
  EXPECT_EQ(dma->find(mapped->host(), 9 * small_page).size, 9 * small_page);
}

TEST_F(DmaLimitsTest, WhatIsNotGuestMemoryHasNoIova) {
  const Region mapped = ordinary_region(0, 2 * small_page);
  const Region unmapped = ordinary_region(0x4000'0000, small_page);
  const auto dma = DmaMemory::create(table_of({mapped, unmapped}), nullptr, {.regions_max = 1});
  for (const std::uint8_t* outside : {mapped->host() - 1, mapped->host() + 2 * small_page, unmapped->host() - 1,
                                      unmapped->host() + small_page, static_cast<std::uint8_t*>(nullptr)}) {
    EXPECT_EQ(dma->find(outside, 10).iova, RTE_BAD_IOVA);
    EXPECT_EQ(dma->find(outside, 10).size, 10U);
  }
}

}  // namespace
}  // namespace vhostx::zerocopy
