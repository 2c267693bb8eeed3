// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <utility>
#include <vector>

#include <vhostx/c/numa.h>
#include <vhostx/numa.hpp>

#include "c/handles.hpp"
#include "c/report.hpp"
#include "c/sized.hpp"

namespace vhostx::c {
namespace {

vhostx_mempools_options mempools_defaults() noexcept {
  const MempoolsOptions defaults;
  const auto& [name, mbufs, cache, data_room, pools_max] = defaults;
  return {sizeof(vhostx_mempools_options), "vhostx", mbufs, cache, data_room, pools_max, 0};
}

MempoolsOptions convert(const vhostx_mempools_options& from) {
  return {from.name != nullptr ? from.name : "", from.mbufs, from.cache, from.data_room, from.pools_max};
}

}  // namespace
}  // namespace vhostx::c

using namespace vhostx::c;

void vhostx_mempools_options_init(vhostx_mempools_options* options, size_t size) {
  write_options(mempools_defaults(), options, size);
}

vhostx_mempools* vhostx_mempools_create(const vhostx_mempools_options* options, vhostx_error* error) {
  return handle(run_for_object(error, [&]() -> vhostx::Result<std::unique_ptr<vhostx::MempoolsByNode>> {
    auto known = read_options(options, mempools_defaults(), "vhostx_mempools_options");
    if (!known) return std::move(known).error();
    return vhostx::MempoolsByNode::create(convert(*known));
  }));
}

void vhostx_mempools_destroy(vhostx_mempools* mempools) { delete object(mempools); }

int vhostx_mempools_on(vhostx_mempools* mempools, int node, vhostx_mempool_choice* choice, size_t size,
                       vhostx_error* error) {
  return run_for_code(error, [&]() -> vhostx::Result<void> {
    auto chosen = object(mempools)->on(node);
    if (!chosen) return std::move(chosen).error();
    vhostx_mempool_choice known{chosen->pool, chosen->node, {}};
    copy_text(known.problem, sizeof known.problem, chosen->problem);
    write_sized(known, choice, size);
    return {};
  });
}

rte_mempool* vhostx_mempools_pool(const vhostx_mempools* mempools, size_t index, int* node) {
  try {
    const auto pools = object(mempools)->pools();
    if (index >= pools.size()) return nullptr;
    if (node != nullptr) *node = pools[index].node;
    return pools[index].pool;
  } catch (...) {
    return nullptr;
  }
}

size_t vhostx_memory_nodes(int* nodes, size_t count) {
  try {
    const std::vector<int> all = vhostx::memory_nodes();
    std::copy_n(all.begin(), std::min(count, all.size()), nodes);
    return all.size();
  } catch (...) {
    return 0;
  }
}

int vhostx_node_of_cpu(unsigned cpu) { return vhostx::node_of_cpu(cpu); }

int vhostx_node_of_lcore(unsigned lcore) { return vhostx::node_of_lcore(lcore); }

size_t vhostx_lcores_on(int node, const unsigned* candidates, size_t count, unsigned* lcores) {
  return static_cast<size_t>(std::copy_if(candidates, candidates + count, lcores,
                                          [node](unsigned lcore) { return vhostx::node_of_lcore(lcore) == node; }) -
                             lcores);
}

size_t vhostx_choose_lcore(int node, const unsigned* candidates, const uint64_t* loads, size_t count) {
  if (count == 0) return 0;
  try {
    std::vector<vhostx::LcoreLoad> both;
    for (size_t i = 0; i < count; ++i) both.push_back({candidates[i], loads[i]});
    return vhostx::choose_lcore(node, both);
  } catch (...) {
    return 0;
  }
}
