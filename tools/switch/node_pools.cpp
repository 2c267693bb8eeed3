// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/node_pools.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <rte_mempool.h>

namespace vhostx::tools {
namespace {

void add_chunk(rte_mempool*, void* chunks, rte_mempool_memhdr* chunk, unsigned) {
  static_cast<std::vector<MemoryArea>*>(chunks)->push_back({reinterpret_cast<std::uintptr_t>(chunk->addr), chunk->len});
}

/// Its chunks; those that touch each other are one area.
std::vector<MemoryArea> memory_of(rte_mempool* pool) {
  std::vector<MemoryArea> chunks;
  std::vector<MemoryArea> areas;
  rte_mempool_mem_iter(pool, add_chunk, &chunks);
  std::sort(chunks.begin(), chunks.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  for (const auto& chunk : chunks)
    if (!areas.empty() && areas.back().address + areas.back().bytes == chunk.address)
      areas.back().bytes += chunk.bytes;
    else
      areas.push_back(chunk);
  return areas;
}

}  // namespace

Result<NodePools> NodePools::make(const PoolPlan& plan, std::span<const int> nodes) {
  NodePools made;
  auto pools = MempoolsByNode::create({.name = "vhostx-switch", .mbufs = plan.mbufs, .pools_max = 64});
  if (!pools) return pools.error();
  made.pools_ = *std::move(pools);
  for (const int node : nodes) {
    if (std::any_of(made.of_nodes_.begin(), made.of_nodes_.end(), [&](const auto& p) { return p.node == node; }))
      continue;
    auto choice = made.pools_->on(node);
    if (!choice)
      return Error{ErrorCode::out_of_memory,
                   fmt::format("{}: expected {}", choice.error().message, describe_memory_needed(plan)), 0};
    made.of_nodes_.push_back({node, *std::move(choice)});
  }
  return made;
}

const MempoolsByNode::Choice& NodePools::on(int node) const noexcept {
  return std::find_if(of_nodes_.begin(), of_nodes_.end(), [&](const auto& p) { return p.node == node; })->choice;
}

std::string NodePools::problems() const {
  std::string text;
  for (const auto& of_node : of_nodes_)
    if (!of_node.choice.problem.empty())
      fmt::format_to(std::back_inserter(text), "{}{}", text.empty() ? "" : "; ", of_node.choice.problem);
  return text;
}

std::uint32_t NodePools::in_use() const noexcept {
  std::uint32_t mbufs = 0;
  for (const auto& made : pools_->pools()) mbufs += rte_mempool_in_use_count(made.pool);
  return mbufs;
}

std::vector<PoolRow> NodePools::rows() const {
  std::vector<PoolRow> rows;
  for (const auto& [node, choice] : of_nodes_)
    rows.push_back({choice.node, node, choice.pool->size, rte_mempool_in_use_count(choice.pool), choice.problem,
                    memory_of(choice.pool)});
  return rows;
}

}  // namespace vhostx::tools
