// SPDX-License-Identifier: BSD-3-Clause
// IOVAs that are physical addresses, against our own reading of /proc/self/pagemap.
#include <algorithm>
#include <cstdint>
#include <fcntl.h>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <rte_mbuf.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/unique_fd.hpp"
#include "tests/zerocopy/dma_fixture.hpp"
#include "zerocopy/dma_memory.hpp"
#include "zerocopy/loan_table.hpp"
#include "zerocopy/segments.hpp"

namespace vhostx::zerocopy {
namespace {

class DmaPhysical : public DmaTest {
 protected:
  void SetUp() override {
    if (!physical()) GTEST_SKIP() << "IOVAs are virtual addresses: VHOSTX_TEST_IOVA=pa asks for physical ones";
    DmaTest::SetUp();
  }
};

// Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bits 0-54 the page frame.
rte_iova_t physical_address(const std::uint8_t* data) {
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  std::uint64_t entry = 0;
  const std::uint64_t address = as_iova(data);
  if (::pread(pagemap.get(), &entry, sizeof(entry), static_cast<off_t>(address / small_page * sizeof(entry))) !=
      static_cast<ssize_t>(sizeof(entry)))
    return RTE_BAD_IOVA;
  if ((entry >> 63) == 0) return RTE_BAD_IOVA;
  return (entry & ((std::uint64_t{1} << 55) - 1)) * small_page + address % small_page;
}

// Of a file whose pages came into being in disorder, so that not all of them can lie in a row.
Region disordered_region(std::uint64_t guest, std::size_t pages, std::uint64_t offset = 0) {
  const Region region = huge_region(guest, pages * huge_page, offset);
  if (region == nullptr) return region;
  std::vector<std::size_t> order(region->mapping().size / huge_page);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(5));
  for (const std::size_t page : order)
    ::madvise(memory::unqualified(region->mapping().data + page * huge_page), huge_page, MADV_POPULATE_READ);
  return region;
}

// Shows page `from` of `file` as page `to` of `region`.
void show(const UniqueFd& file, std::size_t from, const Region& region, std::size_t to) {
  void* at = memory::unqualified(region->mapping().data + to * huge_page);
  EXPECT_EQ(::mmap(at, huge_page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file.get(),
                   static_cast<off_t>(from * huge_page)),
            at);
}

// The run from `at` on, counted byte range by byte range in small pages.
std::size_t run_from(const memory::HostSpan& mapping, const std::vector<rte_iova_t>& small, std::size_t at,
                     std::size_t size) {
  std::size_t end = (at / small_page + 1) * small_page;
  while (end < at + size && end < mapping.size && small[end / small_page] == small[end / small_page - 1] + small_page)
    end += small_page;
  return std::min(end - at, size);
}

std::vector<rte_iova_t> small_pages_of(const memory::HostSpan& mapping) {
  std::vector<rte_iova_t> pages;
  for (std::size_t at = 0; at < mapping.size; at += small_page) pages.push_back(physical_address(mapping.data + at));
  return pages;
}

TEST_F(DmaPhysical, EveryPageIsWhereTheKernelSays) {
  for (const std::uint64_t offset : {std::uint64_t{0}, huge_page + 3 * small_page + 100}) {
    const Region region = disordered_region(0, 6, offset);
    ASSERT_NE(region, nullptr);
    const auto dma = DmaMemory::create(table_of({region}), nullptr);
    ASSERT_EQ(dma->regions_mapped(), 1U) << dma->reason();
    for (std::size_t at = 0; at < region->description().size; at += small_page) {
      ASSERT_NE(physical_address(region->host() + at), RTE_BAD_IOVA);
      ASSERT_EQ(dma->find(region->host() + at, 1).iova, physical_address(region->host() + at)) << at;
    }
  }
}

TEST_F(DmaPhysical, PiecesEndWherePagesStopFollowing) {
  const Region region = disordered_region(0, 12);
  ASSERT_NE(region, nullptr);
  const auto dma = DmaMemory::create(table_of({region}), nullptr);
  ASSERT_EQ(dma->regions_mapped(), 1U) << dma->reason();
  const memory::HostSpan mapping = region->mapping();
  const auto small = small_pages_of(mapping);
  std::size_t cut = 0;
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    // Near a border of pages, or anywhere.
    std::size_t at = random() % mapping.size;
    if (i % 2 == 0) at = std::min((random() % 12 + 1) * huge_page - 1 - random() % 2000, mapping.size - 1);
    const std::size_t size = 1 + random() % std::min<std::size_t>(mapping.size - at, i % 4 == 0 ? 3 * huge_page : 9000);
    const auto piece = dma->find(mapping.data + at, size);
    ASSERT_EQ(piece.iova, small[at / small_page] + at % small_page);
    ASSERT_EQ(piece.size, run_from(mapping, small, at, size)) << at << " + " << size;
    if (piece.size < size) ++cut;
  }
  EXPECT_GT(cut, 0U);
}

// What a device is told of a packet that lies over a border: an mbuf for each piece that is one in IOVA.
TEST_F(DmaPhysical, APacketIsCutWherePagesStopFollowing) {
  const Region region = disordered_region(0, 12);
  ASSERT_NE(region, nullptr);
  const auto dma = DmaMemory::create(table_of({region}), nullptr);
  rte_mempool* const pool = rte_pktmbuf_pool_create("cut", 63, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  ASSERT_NE(pool, nullptr);
  const auto table = LoanTable::create(64, {});
  ASSERT_TRUE(table.ok());
  std::uint32_t cut = 0;
  for (std::size_t page = 1; page < region->description().size / huge_page; ++page) {
    Pieces packet;
    packet.add({region->host() + page * huge_page - 700, 1500});
    Segments segments;
    ASSERT_TRUE(segments.add(*dma, packet));
    Loan* const loan = (*table)->take((*table)->pin(dma), {.id = 0, .entries = 1}, 1);
    rte_mbuf* const lent = rte_pktmbuf_alloc(pool);
    ASSERT_TRUE(loan != nullptr && lent != nullptr && segments.attach(lent, pool, *loan, true));
    EXPECT_EQ(lent->pkt_len, 1500U);
    cut += lent->nb_segs == 2 ? 1 : 0;
    for (const rte_mbuf* segment = lent; segment != nullptr; segment = segment->next) {
      const auto* data = rte_pktmbuf_mtod(segment, const std::uint8_t*);
      EXPECT_EQ(rte_pktmbuf_iova(segment), physical_address(data));
      EXPECT_EQ(rte_pktmbuf_iova(segment) + segment->data_len - 1U, physical_address(data + segment->data_len - 1));
    }
    rte_pktmbuf_free(lent);
    (*table)->collect([](const virtqueue::Chain&) {});
  }
  EXPECT_GT(cut, 0U);
  rte_mempool_free(pool);
}

TEST_F(DmaPhysical, PagesInARowAreOnePiece) {
  constexpr std::size_t stored = 64;
  const UniqueFd file = huge_file(stored * huge_page);
  const Region store = region_of({.size = stored * huge_page}, file);
  ASSERT_NE(store, nullptr);
  std::map<rte_iova_t, std::size_t> page_at;
  for (std::size_t page = 0; page < stored; ++page) {
    ::madvise(store->host() + page * huge_page, huge_page, MADV_POPULATE_READ);
    page_at[physical_address(store->host() + page * huge_page)] = page;
  }
  page_at.erase(RTE_BAD_IOVA);
  const auto first = std::find_if(page_at.begin(), page_at.end(),
                                  [&page_at](const auto& page) { return page_at.count(page.first + huge_page) != 0; });
  if (first == page_at.end()) GTEST_SKIP() << "no two free huge pages lie in a row";

  const Region region = huge_region(0x4000'0000, 3 * huge_page);
  ASSERT_NE(region, nullptr);
  show(file, first->second, region, 0);
  show(file, page_at[first->first + huge_page], region, 1);
  show(file, first->second, region, 2);
  const auto dma = DmaMemory::create(table_of({region}), nullptr);
  ASSERT_EQ(dma->regions_mapped(), 1U) << dma->reason();
  const std::uint8_t* data = region->host();
  EXPECT_EQ(dma->find(data + huge_page - 100, 200).size, 200U);
  EXPECT_EQ(dma->find(data + huge_page - 100, 200).iova, first->first + huge_page - 100);
  EXPECT_EQ(dma->find(data, 3 * huge_page).size, 2 * huge_page);
  EXPECT_EQ(dma->find(data + 2 * huge_page - 100, 200).size, 100U);
  EXPECT_EQ(dma->find(data + 2 * huge_page, 100).iova, first->first);
}

TEST_F(DmaPhysical, OrdinaryPagesHaveNoMapping) {
  const Region ordinary = ordinary_region(0, 4 * small_page);
  const Region huge = huge_region(0x4000'0000, huge_page);
  *ordinary->host() = 1;  // there, so that its address could be read
  const auto dma = DmaMemory::create(table_of({ordinary, huge}), nullptr);
  EXPECT_EQ(dma->regions_mapped(), 1U);
  EXPECT_NE(dma->reason().find("huge pages"), std::string::npos) << dma->reason();
  EXPECT_FALSE(eal_knows(ordinary->host()));
  const auto piece = dma->find(ordinary->host() + 100, 2 * small_page);
  EXPECT_EQ(piece.iova, RTE_BAD_IOVA);
  EXPECT_EQ(piece.size, 2 * small_page);
  EXPECT_EQ(dma->find(huge->host() + 5, 1).iova, physical_address(huge->host() + 5));
}

// As where no huge page is free: some that cannot be brought in.
TEST_F(DmaPhysical, PagesThatAreNotThereHaveNoIova) {
  const Region region = huge_region(0, 5 * huge_page);
  ASSERT_NE(region, nullptr);
  ASSERT_EQ(::mprotect(region->host() + 2 * huge_page, 2 * huge_page, PROT_NONE), 0);
  const auto dma = DmaMemory::create(table_of({region}), nullptr);
  EXPECT_EQ(dma->regions_mapped(), 0U);
  EXPECT_NE(dma->reason().find("2 of 5 pages"), std::string::npos) << dma->reason();
  const std::uint8_t* border = region->host() + 2 * huge_page;
  EXPECT_EQ(dma->find(border - 1, 1).iova, physical_address(border - 1));
  EXPECT_EQ(dma->find(border - 1, 100).size, 1U);
  const auto missing = dma->find(border + 7, 3 * huge_page - 7);
  EXPECT_EQ(missing.iova, RTE_BAD_IOVA);
  EXPECT_EQ(missing.size, 2 * huge_page - 7);
  EXPECT_EQ(dma->find(border + 2 * huge_page, 1).iova, physical_address(border + 2 * huge_page));
}

// The kernel tells page frames to CAP_SYS_ADMIN alone.
class WithoutSysAdmin {
 public:
  WithoutSysAdmin() {
    ::syscall(SYS_capget, &header_, had_);
    __user_cap_data_struct less[2] = {had_[0], had_[1]};
    less[0].effective &= ~(1U << CAP_SYS_ADMIN);
    dropped = ::syscall(SYS_capset, &header_, less) == 0;
  }
  ~WithoutSysAdmin() { ::syscall(SYS_capset, &header_, had_); }
  WithoutSysAdmin(const WithoutSysAdmin&) = delete;
  WithoutSysAdmin& operator=(const WithoutSysAdmin&) = delete;

  bool dropped = false;

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct had_[2] = {};
};

TEST_F(DmaPhysical, WithoutThePrivilegeThereIsNoMapping) {
  const Region region = huge_region(0, huge_page);
  ASSERT_NE(region, nullptr);
  const WithoutSysAdmin unprivileged;
  ASSERT_TRUE(unprivileged.dropped);
  const auto dma = DmaMemory::create(table_of({region}), nullptr);
  EXPECT_EQ(dma->regions_mapped(), 0U);
  EXPECT_NE(dma->reason().find("CAP_SYS_ADMIN"), std::string::npos) << dma->reason();
  EXPECT_EQ(dma->find(region->host(), 1).iova, RTE_BAD_IOVA);
  EXPECT_FALSE(eal_knows(region->host()));
}

}  // namespace
}  // namespace vhostx::zerocopy
