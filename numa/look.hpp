// SPDX-License-Identifier: BSD-3-Clause
// Where pages are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <vhostx/placement.hpp>

#include "numa/kernel.hpp"

namespace vhostx::numa {

/// What is done about pages that this process has not touched.
enum class Untouched {
  fault_in,  ///< They are faulted in: for rings, which are about to be used.
  if_there,  ///< Only where that allocates nothing: for samples. The others are counted as absent.
};

struct Look {
  NodeHistogram histogram;
  int error = 0;  ///< errno: why some pages are unknown; 0: none is.
};

/// The nodes of the pages that these addresses lie in; addresses of the same page (of 4 KiB, whatever the mapping's
/// are) count once.
Look look_at(const Kernel& kernel, std::span<const std::uint8_t* const> addresses, Untouched untouched);

/// All pages of these areas.
Look look_at(const Kernel& kernel, std::span<const MemoryArea> areas);

/// One more page on this node.
void count_on(NodeHistogram& histogram, int node);

/// Appends up to `count` addresses to `out`, evenly spread over an area, the first and the last page among them.
void spread_over(const std::uint8_t* begin, std::size_t bytes, std::size_t count,
                 std::vector<const std::uint8_t*>& out);

}  // namespace vhostx::numa
