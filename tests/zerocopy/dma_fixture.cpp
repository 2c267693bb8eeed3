// SPDX-License-Identifier: BSD-3-Clause
#include "tests/zerocopy/dma_fixture.hpp"

#include <cstdlib>
#include <string>
#include <unistd.h>
#include <utility>

#include <rte_eal.h>
#include <rte_memory.h>
#include <sys/mman.h>

#include "tests/support/eal.hpp"
#include "tests/support/emulated_kernel.hpp"

namespace vhostx::zerocopy {
namespace {

constexpr unsigned huge_2mb = 21U << 26;  // MFD_HUGE_2MB, which glibc does not name

UniqueFd file_of(std::size_t size, unsigned flags) {
  UniqueFd file(::memfd_create("dma test", MFD_CLOEXEC | flags));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) return {};
  return file;
}

memory::RegionDescription description(std::uint64_t guest, std::size_t size, std::uint64_t offset) {
  return {.guest = {guest}, .front_end = {guest}, .size = size, .mmap_offset = offset};
}

}  // namespace

UniqueFd huge_file(std::size_t size) {
  return file_of((size + huge_page - 1) / huge_page * huge_page, MFD_HUGETLB | huge_2mb);
}

Region region_of(const memory::RegionDescription& description, const UniqueFd& file) {
  if (!file) return nullptr;
  auto region = memory::MappedRegion::map(description, UniqueFd(::dup(file.get())));
  EXPECT_TRUE(region) << region.error().message;
  return region ? std::move(region).value() : nullptr;
}

Region ordinary_region(std::uint64_t guest, std::size_t size, std::uint64_t offset) {
  return region_of(description(guest, size, offset), file_of(offset + size, 0));
}

Region huge_region(std::uint64_t guest, std::size_t size, std::uint64_t offset) {
  return region_of(description(guest, size, offset), huge_file(offset + size));
}

Memory table_of(std::vector<Region> regions) {
  auto memory = memory::GuestMemory::create(std::move(regions), {});
  EXPECT_TRUE(memory) << memory.error().message;
  return std::move(memory).value();
}

std::size_t memory_lists() {
  std::size_t count = 0;
  rte_memseg_list_walk(
      [](const rte_memseg_list*, void* counted) {
        ++*static_cast<std::size_t*>(counted);
        return 0;
      },
      &count);
  return count;
}

bool eal_knows(const void* address) { return rte_mem_virt2memseg_list(address) != nullptr; }

void DmaTest::SetUp() {
  if (!physical()) {
    test::start_eal();
  } else if (const std::string why = test::start_physical_eal(); !why.empty()) {
    GTEST_SKIP() << "cannot run with physical addresses: " << why;
  } else if (region(0) == nullptr) {
    GTEST_SKIP() << "cannot run with physical addresses: no memfd of huge pages";
  } else if (!test::has_population()) {
    GTEST_SKIP() << "cannot run with physical addresses: " << test::no_population;
  }
  lists_before_ = memory_lists();
}

void DmaTest::TearDown() {
  if (IsSkipped()) return;
  EXPECT_EQ(memory_lists(), lists_before_) << "something is still registered";
}

bool DmaTest::physical() {
  const char* mode = std::getenv("VHOSTX_TEST_IOVA");
  return mode != nullptr && std::string(mode) == "pa";
}

Region DmaTest::region(std::uint64_t guest, std::size_t size) {
  return physical() ? huge_region(guest, size) : ordinary_region(guest, size);
}

}  // namespace vhostx::zerocopy
