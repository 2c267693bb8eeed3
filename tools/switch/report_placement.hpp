// SPDX-License-Identifier: BSD-3-Clause
// The placement table for people: which vring's memory, state, worker and mbufs are on which NUMA node.
#pragma once

#include <string>

#include "tools/switch/lane_moved.hpp"
#include "tools/switch/snapshot.hpp"

namespace vhostx::tools {

/// Lines, the last with its newline; on a machine with one node only one.
std::string text_placement(const Snapshot& snapshot);
std::string text_lane_moved(const LaneMoved& lane);

/// "0: 12, 1: 3, absent: 2"; "-": nothing was looked at.
std::string text_histogram(const NodeHistogram& histogram);

}  // namespace vhostx::tools
