// SPDX-License-Identifier: BSD-3-Clause
#include "topology/pool_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include <rte_mempool.h>

#include <vhostx/placement.hpp>

#include "numa/look.hpp"

namespace vhostx::topology {
namespace {

constexpr std::size_t sample_max = 512;

void add_chunk(rte_mempool*, void* areas, rte_mempool_memhdr* chunk, unsigned) {
  static_cast<std::vector<MemoryArea>*>(areas)->push_back(
      {reinterpret_cast<std::uintptr_t>(chunk->addr), static_cast<std::size_t>(chunk->len)});
}

}  // namespace

int node_of_pool(rte_mempool* pool) {
  std::vector<MemoryArea> areas;
  rte_mempool_mem_iter(pool, add_chunk, &areas);
  std::size_t bytes = 1;
  for (const auto& area : areas) bytes += area.bytes;
  std::vector<const std::uint8_t*> sample;
  for (const auto& area : areas)
    numa::spread_over(reinterpret_cast<const std::uint8_t*>(area.address), area.bytes,
                      1 + sample_max * area.bytes / bytes, sample);
  return numa::look_at(numa::kernel(), sample, numa::Untouched::if_there).histogram.main_node();
}

}  // namespace vhostx::topology
