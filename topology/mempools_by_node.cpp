// SPDX-License-Identifier: BSD-3-Clause
// MempoolsByNode: PoolTable with DPDK's pools.
#include <algorithm>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <vhostx/numa.hpp>

#include "base/error.hpp"
#include "numa/look.hpp"
#include "topology/pool_table.hpp"

namespace vhostx {
namespace {

using topology::PoolTable;

Result<void> check(const MempoolsOptions& options) {
  if (auto good = in_range("bytes of name", options.name.size(), 1, 20); !good) return good;
  if (auto good = in_range("mbufs", options.mbufs, 1, std::size_t{1} << 28); !good) return good;
  if (auto good = in_range("data_room", options.data_room, 256, 65535); !good) return good;
  if (auto good = in_range("pools_max", options.pools_max, 1, 64); !good) return good;
  // In DPDK an lcore may hold up to one and a half times its cache.
  return in_range("cache", options.cache, 0, std::min(std::uint64_t{512}, std::uint64_t{options.mbufs} * 2 / 3));
}

constexpr std::size_t sample_max = 512;

void add_chunk(rte_mempool*, void* areas, rte_mempool_memhdr* chunk, unsigned) {
  static_cast<std::vector<MemoryArea>*>(areas)->push_back(
      {reinterpret_cast<std::uintptr_t>(chunk->addr), static_cast<std::size_t>(chunk->len)});
}

/// The node with most of the pool's pages, by a sample; no_node: the kernel does not say. May wait for the kernel's
/// page tables. Faults nothing in.
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

Result<MempoolsByNode::Pool> make_pool(const MempoolsOptions& options, int node) {
  const std::string name = options.name + (node == no_node ? "_any" : fmt::format("_{}", node));
  rte_mempool* const pool = rte_pktmbuf_pool_create(name.c_str(), options.mbufs, options.cache, 0, options.data_room,
                                                    node == no_node ? SOCKET_ID_ANY : node);
  if (pool == nullptr)
    return make_error(ErrorCode::out_of_memory, "no pool '{}' of {} mbufs: {}", name, options.mbufs,
                      rte_strerror(rte_errno));
  return MempoolsByNode::Pool{node_of_pool(pool), pool};
}

PoolTable::Source source_of(const MempoolsOptions& options) {
  PoolTable::Source source;
  source.make = [options](int node) { return make_pool(options, node); };
  source.nodes = memory_nodes;
  source.now = PoolTable::Clock::now;
  if (rte_eal_has_hugepages() == 0)
    source.one_pool_because = "EAL runs without huge pages, and then it does not allocate by node";
  return source;
}

}  // namespace

struct MempoolsByNode::State {
  explicit State(const MempoolsOptions& options) : table(source_of(options), options.pools_max) {}

  mutable std::mutex lock;
  PoolTable table;
};

MempoolsByNode::MempoolsByNode(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}

MempoolsByNode::~MempoolsByNode() {
  for (const Pool& made : state_->table.pools()) rte_mempool_free(made.pool);
}

Result<std::unique_ptr<MempoolsByNode>> MempoolsByNode::create(const MempoolsOptions& options) {
  if (auto good = check(options); !good) return std::move(good).error();
  return std::unique_ptr<MempoolsByNode>(new MempoolsByNode(std::make_unique<State>(options)));
}

Result<MempoolsByNode::Choice> MempoolsByNode::on(int node) {
  const std::lock_guard guard(state_->lock);
  return state_->table.on(node);
}

std::vector<MempoolsByNode::Pool> MempoolsByNode::pools() const {
  const std::lock_guard guard(state_->lock);
  return state_->table.pools();
}

}  // namespace vhostx
