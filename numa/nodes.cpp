// SPDX-License-Identifier: BSD-3-Clause
#include "numa/nodes.hpp"

#include <memory>
#include <numa.h>

namespace vhostx::numa {

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

}  // namespace vhostx::numa
