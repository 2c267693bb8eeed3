// SPDX-License-Identifier: BSD-3-Clause
// MempoolsByNode: PoolTable with DPDK's pools.
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <vhostx/numa.hpp>

#include "base/error.hpp"
#include "numa/nodes.hpp"
#include "topology/pool_memory.hpp"
#include "topology/pool_table.hpp"

namespace vhostx {
namespace {

using topology::PoolTable;

Result<void> in_range(const char* option, std::size_t value, std::size_t min, std::size_t max) {
  if (value >= min && value <= max) return {};
  return make_error(ErrorCode::invalid_argument, "{} is {}, expected {} to {}", option, value, min, max);
}

Result<void> check(const MempoolsOptions& options) {
  if (auto good = in_range("bytes of name", options.name.size(), 1, 20); !good) return good;
  if (auto good = in_range("mbufs", options.mbufs, 1, std::size_t{1} << 28); !good) return good;
  if (auto good = in_range("data_room", options.data_room, 256, 65535); !good) return good;
  if (auto good = in_range("pools_max", options.pools_max, 1, 64); !good) return good;
  // In DPDK an lcore may hold up to one and a half times its cache.
  return in_range("cache", options.cache, 0, std::min(std::size_t{512}, std::size_t{options.mbufs} * 2 / 3));
}

Result<MempoolsByNode::Pool> make_pool(const MempoolsOptions& options, int node) {
  const std::string name = options.name + (node == no_node ? "_any" : fmt::format("_{}", node));
  rte_mempool* const pool = rte_pktmbuf_pool_create(name.c_str(), options.mbufs, options.cache, 0, options.data_room,
                                                    node == no_node ? SOCKET_ID_ANY : node);
  if (pool == nullptr)
    return make_error(ErrorCode::out_of_memory, "no pool '{}' of {} mbufs: {}", name, options.mbufs,
                      rte_strerror(rte_errno));
  return MempoolsByNode::Pool{topology::node_of_pool(pool), pool};
}

PoolTable::Source source_of(const MempoolsOptions& options) {
  PoolTable::Source source;
  source.make = [options](int node) { return make_pool(options, node); };
  source.nodes = numa::memory_nodes;
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
