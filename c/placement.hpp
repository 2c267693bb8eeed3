// SPDX-License-Identifier: BSD-3-Clause
// Converts placements for C: a struct, and after it what its pointers point to.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <vhostx/c/placement.h>
#include <vhostx/placement.hpp>
#include <vhostx/result.hpp>

namespace vhostx::c {

/// A vhostx_vring_placement with all that it points to. It must not be moved, as its pointers would dangle.
struct OwnedPlacement : vhostx_vring_placement {
  explicit OwnedPlacement(const VringPlacement& from);
  OwnedPlacement(const OwnedPlacement&) = delete;
  OwnedPlacement& operator=(const OwnedPlacement&) = delete;

  std::vector<vhostx_node_pages> pages;
  std::vector<vhostx_memory_area> areas;
  std::string text;
};

/// For the caller, who frees it with vhostx_vring_placement_free().
Result<std::unique_ptr<OwnedPlacement>> own_placement(const VringPlacement& from);

/// A vhostx_memory_placement with all that it points to.
struct OwnedRegions : vhostx_memory_placement {
  explicit OwnedRegions(const std::vector<RegionPlacement>& from);
  OwnedRegions(const OwnedRegions&) = delete;
  OwnedRegions& operator=(const OwnedRegions&) = delete;

  std::vector<std::vector<vhostx_node_pages>> pages;
  std::vector<vhostx_region_placement> known;
  std::vector<const vhostx_region_placement*> pointers;
};

}  // namespace vhostx::c
