// SPDX-License-Identifier: BSD-3-Clause
#include "topology/pool_table.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace vhostx::topology {
namespace {

std::string name_of(int node) { return node == no_node ? "any node" : fmt::format("node {}", node); }

}  // namespace

PoolTable::PoolTable(Source source, std::size_t pools_max) : source_(std::move(source)), pools_max_(pools_max) {}

Result<MempoolsByNode::Choice> PoolTable::on(int node) {
  if (node < 0 || !source_.one_pool_because.empty()) return any(node < 0 ? no_node : node);
  if (const Entry* entry = find(node)) return choice(*entry, node);
  const auto nodes = source_.nodes();
  if (std::find(nodes.begin(), nodes.end(), node) == nodes.end())
    return other_than(node, "it has no memory that this process may use");
  if (entries_.size() >= pools_max_)
    return other_than(node, fmt::format("there are {} pools, as many as pools_max allows", entries_.size()));
  const auto made = make(node);
  if (!made) return other_than(node, made.error().message);
  return choice(entries_[*made], node);
}

std::vector<MempoolsByNode::Pool> PoolTable::pools() const {
  std::vector<MempoolsByNode::Pool> pools;
  for (const Entry& entry : entries_) pools.push_back(entry.made);
  return pools;
}

Result<MempoolsByNode::Choice> PoolTable::any(int wanted) {
  if (!entries_.empty()) return choice(entries_.front(), wanted);
  const auto made = make(no_node);
  if (!made) return made.error();
  return choice(entries_[*made], wanted);
}

/// The oldest pool: it is on the node of the application's first guest, and on a full machine sharing it is best.
Result<MempoolsByNode::Choice> PoolTable::other_than(int node, const std::string& reason) {
  if (entries_.empty())
    if (const auto made = first_that_can_be_made(node); !made)
      return Error{made.error().code, fmt::format("{}: {}; {}", name_of(node), reason, made.error().message), 0};
  const auto& used = entries_.front().made;
  return MempoolsByNode::Choice{used.pool, used.node,
                                fmt::format("{}: {}: the pool of {} is used", name_of(node), reason,
                                            used.node == no_node ? "another node" : name_of(used.node))};
}

Result<std::size_t> PoolTable::first_that_can_be_made(int except) {
  for (const int node : source_.nodes())
    if (node != except)
      if (auto made = make(node)) return made;
  return make(no_node);
}

Result<std::size_t> PoolTable::make(int node) {
  const auto now = source_.now();
  const auto failed = failures_.find(node);
  if (failed != failures_.end() && now - failed->second.at < pause)
    return Error{ErrorCode::out_of_memory, failed->second.reason, 0};
  auto made = source_.make(node);
  if (!made) {
    failures_[node] = {now, made.error().message};
    return Error{ErrorCode::out_of_memory, made.error().message, 0};
  }
  failures_.erase(node);
  entries_.push_back({node, *made});
  return entries_.size() - 1;
}

/// A pool that is on the node, else one that was meant to be there.
const PoolTable::Entry* PoolTable::find(int node) const {
  for (const Entry& entry : entries_)
    if (entry.made.node == node) return &entry;
  for (const Entry& entry : entries_)
    if (entry.made_for == node) return &entry;
  return nullptr;
}

MempoolsByNode::Choice PoolTable::choice(const Entry& entry, int wanted) const {
  MempoolsByNode::Choice choice{entry.made.pool, entry.made.node, {}};
  if (wanted == no_node || wanted == choice.node) return choice;
  if (choice.node == no_node && source_.nodes() == std::vector{wanted}) return choice;  // the only node
  choice.problem = fmt::format("{}: {}", name_of(wanted),
                               choice.node == no_node ? "the kernel does not say where the pool's memory is"
                                                      : fmt::format("the pool is on {}", name_of(choice.node)));
  if (!source_.one_pool_because.empty()) choice.problem += fmt::format(" ({})", source_.one_pool_because);
  return choice;
}

}  // namespace vhostx::topology
