// SPDX-License-Identifier: BSD-3-Clause
// What EAL knows of guest memory, and for how long; IOVAs that are virtual addresses.
#include "zerocopy/dma_memory.hpp"

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <rte_memory.h>

#include "tests/zerocopy/dma_fixture.hpp"

namespace vhostx::zerocopy {
namespace {

using DmaMemoryTest = DmaTest;

class DmaVirtual : public DmaTest {
 protected:
  void SetUp() override {
    if (physical()) GTEST_SKIP() << "IOVAs are physical addresses";
    DmaTest::SetUp();
  }
};

// EAL's own entry says of each page what find() says.
void expect_registered(const DmaMemory& dma, const memory::MappedRegion& region) {
  const memory::HostSpan mapping = region.mapping();
  for (std::size_t at = 0; at < mapping.size; at += small_page) {
    const std::uint8_t* page = mapping.data + at;
    const rte_memseg_list* list = rte_mem_virt2memseg_list(page);
    ASSERT_NE(list, nullptr) << at;
    ASSERT_EQ(list->external, 1U);
    const rte_memseg* entry = rte_mem_virt2memseg(page, list);
    ASSERT_NE(entry, nullptr);
    ASSERT_EQ(entry->iova + (as_iova(page) - entry->addr_64), dma.find(page, small_page).iova) << at;
  }
  EXPECT_FALSE(eal_knows(mapping.data - 1));
  EXPECT_FALSE(eal_knows(mapping.data + mapping.size));
}

TEST_F(DmaMemoryTest, RegistersEachRegion) {
  const Memory memory = table_of({region(0), region(0x4000'0000, 3 * huge_page)});
  const auto dma = DmaMemory::create(memory, nullptr);
  EXPECT_EQ(&dma->memory(), memory.get());
  EXPECT_EQ(dma->regions(), 2U);
  EXPECT_EQ(dma->regions_mapped(), 2U) << dma->reason();
  EXPECT_EQ(dma->reason(), "");
  for (const Region& region : memory->regions()) expect_registered(*dma, *region);
}

TEST_F(DmaMemoryTest, RegistersWholePages) {
  const std::uint64_t offset = (physical() ? huge_page : small_page) + 640;
  const Region region = physical() ? huge_region(0, huge_page, offset) : ordinary_region(0, huge_page, offset);
  const auto dma = DmaMemory::create(table_of({region}), nullptr);
  ASSERT_EQ(dma->regions_mapped(), 1U) << dma->reason();
  EXPECT_EQ(region->host() - region->mapping().data, 640);
  expect_registered(*dma, *region);
  EXPECT_EQ(dma->find(region->host(), 1).iova, dma->find(region->mapping().data, 1).iova + 640);
}

TEST_F(DmaMemoryTest, ForgetsARegionBeforeItIsUnmapped) {
  Region kept = region(0);
  std::weak_ptr<const memory::MappedRegion> watched = kept;
  const std::uint8_t* data = kept->host();
  auto dma = DmaMemory::create(table_of({kept}), nullptr);
  EXPECT_TRUE(eal_knows(data));
  dma.reset();
  EXPECT_FALSE(eal_knows(data));
  dma = DmaMemory::create(table_of({kept}), nullptr);
  EXPECT_EQ(dma->regions_mapped(), 1U) << dma->reason();

  kept.reset();
  EXPECT_FALSE(watched.expired()) << "what EAL knows is mapped";
  dma.reset();
  EXPECT_TRUE(watched.expired());
  EXPECT_FALSE(eal_knows(data));
}

TEST_F(DmaMemoryTest, SuccessiveTablesShareRegistrations) {
  const Region going = region(0);
  const Region staying = region(0x4000'0000);
  const Region coming = region(0x8000'0000);
  auto before = DmaMemory::create(table_of({going, staying}), nullptr);
  const rte_memseg_list* list = rte_mem_virt2memseg_list(staying->host());
  auto after = DmaMemory::create(table_of({staying, coming}), before.get());
  EXPECT_EQ(after->regions_mapped(), 2U);
  EXPECT_EQ(after->reason(), "");
  EXPECT_EQ(rte_mem_virt2memseg_list(staying->host()), list);

  before.reset();
  EXPECT_FALSE(eal_knows(going->host()));
  EXPECT_EQ(rte_mem_virt2memseg_list(staying->host()), list);
  expect_registered(*after, *staying);
  expect_registered(*after, *coming);

  after = DmaMemory::create(table_of({}), after.get());
  EXPECT_EQ(after->regions_mapped(), 0U);
  EXPECT_EQ(after->reason(), "");
  EXPECT_FALSE(eal_knows(staying->host()));
  EXPECT_FALSE(eal_knows(coming->host()));
}

// The old table may live as long as a lent mbuf: what it shares outlives neither less nor more.
TEST_F(DmaMemoryTest, AnOldTableKeepsWhatItHolds) {
  const Region region = DmaTest::region(0);
  auto before = DmaMemory::create(table_of({region}), nullptr);
  auto after = DmaMemory::create(table_of({region}), before.get());
  after.reset();
  expect_registered(*before, *region);
}

TEST_F(DmaMemoryTest, SomebodyElsesRegistrationIsLeftAlone) {
  const Region shared = region(0);
  const Region own = region(0x4000'0000);
  const auto first = DmaMemory::create(table_of({shared}), nullptr);
  auto second = DmaMemory::create(table_of({shared, own}), nullptr);
  EXPECT_EQ(second->regions(), 2U);
  EXPECT_EQ(second->regions_mapped(), 1U);
  EXPECT_NE(second->reason().find("guest address 0x0,"), std::string::npos) << second->reason();
  EXPECT_NE(second->reason().find("File exists"), std::string::npos) << second->reason();
  EXPECT_EQ(second->find(shared->host(), 64).iova, RTE_BAD_IOVA);
  EXPECT_NE(second->find(own->host(), 64).iova, RTE_BAD_IOVA);
  second.reset();
  expect_registered(*first, *shared);
}

TEST_F(DmaVirtual, TheIovaIsTheAddress) {
  const Region small = ordinary_region(0, 5 * small_page);
  Region huge = huge_region(0x4000'0000, 2 * huge_page);
  if (huge == nullptr) huge = ordinary_region(0x4000'0000, 2 * huge_page);
  const auto dma = DmaMemory::create(table_of({small, huge}), nullptr);
  ASSERT_EQ(dma->regions_mapped(), 2U) << dma->reason();
  for (const Region& region : dma->memory().regions()) {
    for (std::size_t at = 0; at < region->description().size; at += 1000) {
      const auto piece = dma->find(region->host() + at, region->description().size - at);
      ASSERT_EQ(piece.iova, as_iova(region->host() + at));
      ASSERT_EQ(piece.size, region->description().size - at);
    }
  }
}

TEST_F(DmaVirtual, FewEntriesForMuchMemory) {
  const Region region = ordinary_region(0, std::size_t{1} << 30);
  const auto dma = DmaMemory::create(table_of({region}), nullptr, {.pages_max = 512});
  EXPECT_EQ(dma->regions_mapped(), 1U) << dma->reason();
}

TEST(DmaNoEal, HasNoMapping) {
  if (rte_eal_iova_mode() != RTE_IOVA_DC) GTEST_SKIP() << "EAL runs in this process";
  const Region region = ordinary_region(0, huge_page);
  const auto dma = DmaMemory::create(table_of({region}), nullptr);
  EXPECT_EQ(dma->regions_mapped(), 0U);
  EXPECT_NE(dma->reason().find("EAL is not running"), std::string::npos) << dma->reason();
  const auto piece = dma->find(region->host(), 100);
  EXPECT_EQ(piece.iova, RTE_BAD_IOVA);
  EXPECT_EQ(piece.size, 100U);
}

}  // namespace
}  // namespace vhostx::zerocopy
