// SPDX-License-Identifier: BSD-3-Clause
// PoolTable: decides which mempool a node gets. Independent of DPDK, so that tests can use nodes that the machine does
// not have.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <vhostx/numa.hpp>

namespace vhostx::topology {

/// One thread at a time.
class PoolTable {
 public:
  using Clock = std::chrono::steady_clock;
  /// How long to wait before a node without memory is tried again: each attempt asks the kernel for huge pages.
  static constexpr std::chrono::seconds pause{1};

  /// Makes pools, and describes the machine.
  struct Source {
    /// Makes a pool on this node (no_node: anywhere), and finds where it really is. The error says why there is none.
    std::function<Result<MempoolsByNode::Pool>(int node)> make;
    std::function<std::vector<int>()> nodes;  ///< Those with memory, ascending.
    std::function<Clock::time_point()> now;
    std::string one_pool_because;  ///< Not empty: why memory is not allocated by node; there is one pool then.
  };

  PoolTable(Source source, std::size_t pools_max);

  /// As MempoolsByNode::on.
  Result<MempoolsByNode::Choice> on(int node);
  std::vector<MempoolsByNode::Pool> pools() const;

 private:
  struct Entry {
    int made_for = no_node;
    MempoolsByNode::Pool made;
  };
  struct Failure {
    Clock::time_point at;
    std::string reason;
  };

  Result<MempoolsByNode::Choice> any(int wanted);
  Result<MempoolsByNode::Choice> other_than(int node, const std::string& reason);
  Result<std::size_t> make(int node);
  Result<std::size_t> first_that_can_be_made(int except);
  const Entry* find(int node) const;
  MempoolsByNode::Choice choice(const Entry& entry, int wanted) const;

  const Source source_;
  const std::size_t pools_max_;
  std::vector<Entry> entries_;
  std::map<int, Failure> failures_;  // of nodes that have memory, and of no_node: bounded by the machine
};

}  // namespace vhostx::topology
