// SPDX-License-Identifier: BSD-3-Clause
// Finds the NUMA nodes of the regions of a guest's memory.
#pragma once

#include <vector>

#include <vhostx/placement.hpp>

#include "memory/guest_memory.hpp"

namespace vhostx::backend {

/// Queries up to 64 pages of each region and touches none. Any thread. Throws std::bad_alloc.
std::vector<RegionPlacement> placement_of(const memory::GuestMemory& memory);

}  // namespace vhostx::backend
