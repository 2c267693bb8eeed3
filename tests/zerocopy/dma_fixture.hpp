// SPDX-License-Identifier: BSD-3-Clause
// Guest memory of any kind, and EAL in the IOVA mode that VHOSTX_TEST_IOVA names (va unless it says pa).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "memory/guest_memory.hpp"
#include "zerocopy/dma_memory.hpp"

namespace vhostx::zerocopy {

using Region = std::shared_ptr<const memory::MappedRegion>;
using Memory = std::shared_ptr<const memory::GuestMemory>;

constexpr std::size_t small_page = 4096;
constexpr std::size_t huge_page = std::size_t{2} << 20;

/// A region of a file of its own, of ordinary or of huge pages. The test fails where there is none.
Region ordinary_region(std::uint64_t guest, std::size_t size, std::uint64_t offset = 0);
Region huge_region(std::uint64_t guest, std::size_t size, std::uint64_t offset = 0);
/// A file of huge pages, and a region of it. The file is none where there is no memory for it.
UniqueFd huge_file(std::size_t size);
Region region_of(const memory::RegionDescription& description, const UniqueFd& file);
Memory table_of(std::vector<Region> regions);

/// Memory that EAL knows: how many lists, and whether it holds this address.
std::size_t memory_lists();
bool eal_knows(const void* address);

inline rte_iova_t as_iova(const std::uint8_t* data) { return reinterpret_cast<std::uintptr_t>(data); }

/// In both modes.
class DmaTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  static bool physical();
  /// A region that can be registered in this mode.
  static Region region(std::uint64_t guest, std::size_t size = huge_page);

 private:
  std::size_t lists_before_ = 0;
};

}  // namespace vhostx::zerocopy
