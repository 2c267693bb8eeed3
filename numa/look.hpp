// SPDX-License-Identifier: BSD-3-Clause
// Finds the nodes of pages.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <vhostx/placement.hpp>

#include "numa/kernel.hpp"

namespace vhostx::numa {

/// What to do about pages that this process has not touched.
enum class Untouched {
  fault_in,  ///< Fault them in: for rings, which are about to be used.
  if_there,  ///< Fault in only pages that are allocated already, and count others as absent: for samples.
};

struct Look {
  NodeHistogram histogram;
  int error = 0;  ///< errno: why the nodes of some pages are unknown; 0: all are known.
};

/// The nodes of the pages at these addresses. Addresses in the same page count once (an ordinary page, whatever size
/// the mapping's pages have).
Look look_at(const Kernel& kernel, std::span<const std::uint8_t* const> addresses, Untouched untouched);

/// All pages of these areas.
Look look_at(const Kernel& kernel, std::span<const MemoryArea> areas);

/// One more page on this node.
void count_on(NodeHistogram& histogram, int node);

/// Appends up to `count` addresses to `out`, evenly spread over an area, the first and the last page among them.
void spread_over(const std::uint8_t* begin, std::size_t bytes, std::size_t count,
                 std::vector<const std::uint8_t*>& out);

}  // namespace vhostx::numa
