// SPDX-License-Identifier: BSD-3-Clause
// What the choice of EAL options depends on, and which CPUs the workers get.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <vhostx/placement.hpp>

namespace vhostx::tools {

struct MachineFacts {
  std::vector<unsigned> cpus;                       ///< This process may run on them (sched_getaffinity).
  std::uint64_t huge_bytes_free = 0;                ///< In huge pages of all sizes, neither used nor reserved.
  std::uint64_t huge_page_bytes = 0;                ///< Of the size that has most free; 0: none free.
  std::vector<int> cpu_nodes;                       ///< Of each of `cpus`; empty: not known.
  std::map<int, std::uint64_t> huge_bytes_free_on;  ///< By NUMA node, in pages of that size; empty: not known.
  bool mempolicy_denied = false;                    ///< By seccomp, say. EAL asks it of each huge page, or gives up.

  int node_of(std::size_t cpu_position) const noexcept {
    return cpu_position < cpu_nodes.size() ? cpu_nodes[cpu_position] : no_node;
  }
};
MachineFacts read_machine();

struct WorkerCpu {
  unsigned cpu = 0;
  int node = no_node;
};
/// A CPU for each worker: a node's last one first, the nodes in turn, so that each node has a worker if there are
/// enough. The first CPU is the main thread's, and comes last, unless its node has no other one. Pure.
std::vector<WorkerCpu> worker_cpus(const MachineFacts& machine, unsigned workers);

}  // namespace vhostx::tools
