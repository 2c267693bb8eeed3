// SPDX-License-Identifier: BSD-3-Clause
// The machine's NUMA nodes, as the kernel shows them to this process.
#pragma once

#include <vector>

#include <vhostx/placement.hpp>

namespace vhostx::numa {

/// Nodes that have memory which this process may use (its cpuset), ascending; {0} if the kernel has no NUMA or forbids
/// the query.
std::vector<int> memory_nodes();

/// no_node: not known.
int node_of_cpu(unsigned cpu) noexcept;

}  // namespace vhostx::numa
