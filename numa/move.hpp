// SPDX-License-Identifier: BSD-3-Clause
// Where the library's own state should be, and taking it there.
#pragma once

#include <cstdint>
#include <span>

#include <vhostx/placement.hpp>

#include "numa/kernel.hpp"
#include "numa/look.hpp"

namespace vhostx::numa {

struct Move {
  Look after;               ///< Where the pages are now, asked of the kernel.
  std::uint32_t moved = 0;  ///< Pages that are on the node and were not before.
  int error = 0;            ///< errno of the first call that failed; 0 even where pages could not be moved.
};

/// Moves these pages, whose addresses stay, and looks whether they went. They are on page borders. Other threads may go
/// on using them.
Move move_to(const Kernel& kernel, std::span<const MemoryArea> areas, int node);

/// The node that holds the ring, weighed with the buffers: both count as much, of two that are equal the ring's
/// decides. From `current` (no_node: none yet) to another one only when that is better by an eighth of the whole, so
/// that a sample which varies moves nothing to and fro. no_node: nothing is known.
int wanted_node(const NodeHistogram& ring, const NodeHistogram& buffers, int current) noexcept;

}  // namespace vhostx::numa
