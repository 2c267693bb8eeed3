// SPDX-License-Identifier: BSD-3-Clause
// Nodes and lcores, for applications.
#include <algorithm>
#include <cassert>

#include <rte_lcore.h>

#include <vhostx/numa.hpp>

#include "numa/nodes.hpp"
#include "topology/least_loaded.hpp"

namespace vhostx {

std::vector<int> memory_nodes() { return numa::memory_nodes(); }

int node_of_cpu(unsigned cpu) noexcept { return numa::node_of_cpu(cpu); }

// Not EAL's own answer (rte_lcore_to_socket_id): it counts what it does not know as node 0.
int node_of_lcore(unsigned lcore) noexcept {
  if (lcore >= RTE_MAX_LCORE) return no_node;
  const rte_cpuset_t cpus = rte_lcore_cpuset(lcore);
  int common = no_node;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &cpus) == 0) continue;
    const int node = numa::node_of_cpu(cpu);
    if (node == no_node || (common != no_node && node != common)) return no_node;
    common = node;
  }
  return common;
}

std::vector<unsigned> lcores_on(int node, std::span<const unsigned> candidates) {
  std::vector<unsigned> lcores;
  for (const unsigned lcore : candidates)
    if (node_of_lcore(lcore) == node) lcores.push_back(lcore);
  return lcores;
}

std::size_t choose_lcore(int node, std::span<const LcoreLoad> candidates) {
  assert(!candidates.empty());
  std::vector<topology::NodeLoad> loads;
  for (const auto& candidate : candidates)
    loads.push_back({node == no_node ? no_node : node_of_lcore(candidate.lcore), candidate.load});
  return topology::least_loaded(node, loads);
}

}  // namespace vhostx
