// SPDX-License-Identifier: BSD-3-Clause
// The rule behind choose_lcore(), for nodes that the machine need not have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <vhostx/placement.hpp>

namespace vhostx::topology {

struct NodeLoad {
  int node = no_node;
  std::uint64_t load = 0;
};

/// The position of the least loaded one on `node`, of several the first; of all, where there is none or the node is not
/// known. `candidates` is not empty.
inline std::size_t least_loaded(int node, std::span<const NodeLoad> candidates) noexcept {
  const auto best_of = [&](bool anywhere) {
    std::size_t best = candidates.size();
    for (std::size_t i = 0; i < candidates.size(); ++i)
      if ((anywhere || candidates[i].node == node) &&
          (best == candidates.size() || candidates[i].load < candidates[best].load))
        best = i;
    return best;
  };
  const std::size_t there = node == no_node ? candidates.size() : best_of(false);
  return there != candidates.size() ? there : best_of(true);
}

}  // namespace vhostx::topology
