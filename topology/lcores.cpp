// SPDX-License-Identifier: BSD-3-Clause
// Nodes and lcores, for applications.
#include <cassert>
#include <memory>
#include <numa.h>

#include <rte_lcore.h>

#include <vhostx/numa.hpp>

#include "topology/least_loaded.hpp"

namespace vhostx {

std::vector<int> memory_nodes() {
  std::vector<int> nodes;
  if (::numa_available() < 0) return {0};
  const std::unique_ptr<bitmask, void (*)(bitmask*)> allowed(::numa_get_mems_allowed(), ::numa_bitmask_free);
  for (int node = 0; allowed != nullptr && node <= ::numa_max_node(); ++node)
    if (::numa_bitmask_isbitset(allowed.get(), static_cast<unsigned>(node)) != 0 &&
        ::numa_node_size64(node, nullptr) > 0)
      nodes.push_back(node);
  return nodes.empty() ? std::vector<int>{0} : nodes;
}

int node_of_cpu(unsigned cpu) noexcept {
  if (::numa_available() < 0) return no_node;
  const int node = ::numa_node_of_cpu(static_cast<int>(cpu));
  return node < 0 ? no_node : node;
}

// Not EAL's own answer (rte_lcore_to_socket_id): it counts what it does not know as node 0.
int node_of_lcore(unsigned lcore) noexcept {
  if (lcore >= RTE_MAX_LCORE) return no_node;
  const rte_cpuset_t cpus = rte_lcore_cpuset(lcore);
  int common = no_node;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &cpus) == 0) continue;
    const int node = node_of_cpu(cpu);
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
