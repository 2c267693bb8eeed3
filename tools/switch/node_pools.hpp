// SPDX-License-Identifier: BSD-3-Clause
// NodePools: the mbuf pools of the nodes that workers are on, made at the start.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <vhostx/numa.hpp>

#include "tools/switch/eal_setup.hpp"
#include "tools/switch/snapshot.hpp"

namespace vhostx::tools {

class NodePools {
 public:
  /// A pool for each of these nodes (no_node: any), as large as the plan says. After start_eal. Error: out_of_memory.
  static Result<NodePools> make(const PoolPlan& plan, std::span<const int> nodes);

  /// What the workers of a node use; the node is one that make() was given.
  const MempoolsByNode::Choice& on(int node) const noexcept;
  /// Why some nodes use another one's pool, for people; empty: none does.
  std::string problems() const;

  /// mbufs of all pools. Costs a look at each lcore's cache.
  std::uint32_t in_use() const noexcept;
  std::vector<PoolRow> rows() const;

 private:
  struct NodePool {
    int node = no_node;
    MempoolsByNode::Choice choice;
  };

  std::unique_ptr<MempoolsByNode> pools_;
  std::vector<NodePool> of_nodes_;
};

}  // namespace vhostx::tools
