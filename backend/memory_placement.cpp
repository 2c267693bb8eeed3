// SPDX-License-Identifier: BSD-3-Clause
#include "backend/memory_placement.hpp"

#include "numa/kernel.hpp"
#include "numa/look.hpp"

namespace vhostx::backend {

std::vector<RegionPlacement> placement_of(const memory::GuestMemory& memory) {
  constexpr std::size_t pages_max = 64;
  std::vector<RegionPlacement> regions;
  for (const auto& region : memory.regions()) {
    const auto& description = region->description();
    std::vector<const std::uint8_t*> pages;
    numa::spread_over(region->host(), description.size, pages_max, pages);
    regions.push_back({description.guest.value, description.size, region->page_size(),
                       numa::look_at(numa::kernel(), pages, numa::Untouched::if_there).histogram});
  }
  return regions;
}

}  // namespace vhostx::backend
