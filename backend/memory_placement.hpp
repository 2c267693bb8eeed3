// SPDX-License-Identifier: BSD-3-Clause
// On which NUMA nodes the regions of a guest's memory lie.
#pragma once

#include <vector>

#include <vhostx/placement.hpp>

#include "memory/guest_memory.hpp"

namespace vhostx::backend {

/// Looks at up to 64 pages of each region, and touches none. Any thread. Throws std::bad_alloc.
std::vector<RegionPlacement> placement_of(const memory::GuestMemory& memory);

}  // namespace vhostx::backend
