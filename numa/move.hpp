// SPDX-License-Identifier: BSD-3-Clause
// Chooses the node for the library's own state, and moves the state there.
#pragma once

#include <cstdint>
#include <span>

#include <vhostx/placement.hpp>

#include "numa/kernel.hpp"
#include "numa/look.hpp"

namespace vhostx::numa {

struct Move {
  Look after;               ///< Where the kernel says the pages are now.
  std::uint32_t moved = 0;  ///< Pages that are on the node and were not before.
  int error = 0;            ///< errno of the first call that failed; 0 even where pages could not be moved.
};

/// Moves these pages to `node` and checks where they are then. Their addresses do not change, and other threads may use
/// them meanwhile. Areas are page-aligned.
Move move_to(const Kernel& kernel, std::span<const MemoryArea> areas, int node);

/// The node with most of the ring and the buffers. Both have the same weight; in a tie the ring's main node wins.
/// Leaves `current` (no_node: none yet) only for a node whose score is better by an eighth of the maximum, so that
/// samples that vary do not move the state back and forth. no_node: nothing is known.
int wanted_node(const NodeHistogram& ring, const NodeHistogram& buffers, int current) noexcept;

}  // namespace vhostx::numa
