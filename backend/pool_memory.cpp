// SPDX-License-Identifier: BSD-3-Clause
#include "backend/pool_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <numa.h>
#include <vector>

#include <rte_mempool.h>

#include <vhostx/placement.hpp>

namespace vhostx::backend {
namespace {

constexpr std::size_t sample_max = 512;
constexpr std::size_t step_min = 4096;

void add_chunk(rte_mempool*, void* areas, rte_mempool_memhdr* chunk, unsigned) {
  static_cast<std::vector<MemoryArea>*>(areas)->push_back(
      {reinterpret_cast<std::uintptr_t>(chunk->addr), static_cast<std::size_t>(chunk->len)});
}

/// Addresses in equal steps over all chunks.
std::vector<void*> sample_of(const std::vector<MemoryArea>& areas) {
  std::size_t bytes = 0;
  for (const auto& area : areas) bytes += area.bytes;
  const std::size_t step = std::max(step_min, bytes / sample_max + 1);
  std::vector<void*> pages;
  std::size_t next = 0;  // from the begin of this chunk
  for (const auto& area : areas) {
    for (; next < area.bytes; next += step) pages.push_back(reinterpret_cast<void*>(area.address + next));
    next -= area.bytes;
  }
  return pages;
}

}  // namespace

int node_of_pool(rte_mempool* pool) {
  std::vector<MemoryArea> areas;
  rte_mempool_mem_iter(pool, add_chunk, &areas);
  auto pages = sample_of(areas);
  std::vector<int> status(pages.size(), -1);
  if (pages.empty() || ::numa_available() < 0 ||
      ::numa_move_pages(0, pages.size(), pages.data(), nullptr, status.data(), 0) != 0)
    return no_node;
  std::map<int, std::size_t> nodes;
  for (const int node : status)
    if (node >= 0) ++nodes[node];
  const auto most =
      std::max_element(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == nodes.end() ? no_node : most->first;
}

}  // namespace vhostx::backend
