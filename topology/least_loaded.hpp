// SPDX-License-Identifier: BSD-3-Clause
// The rule behind choose_lcore(), for nodes that the machine need not have.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <vhostx/placement.hpp>

namespace vhostx::topology {

struct NodeLoad {
  int node = no_node;
  std::uint64_t load = 0;
};

/// The position of the least loaded one on `node`, of several the first; of all, where there is none or the node is not
/// known. `candidates` is not empty.
inline std::size_t least_loaded(int node, std::span<const NodeLoad> candidates) noexcept {
  const auto rank = [node](const NodeLoad& one) { return std::pair(node != no_node && one.node != node, one.load); };
  const auto best = std::ranges::min_element(candidates, {}, rank);
  return static_cast<std::size_t>(best - candidates.begin());
}

}  // namespace vhostx::topology
