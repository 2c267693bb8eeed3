// SPDX-License-Identifier: BSD-3-Clause
// The public NodeHistogram.
#include <vhostx/placement.hpp>

namespace vhostx {

bool NodeHistogram::operator==(const NodeHistogram& other) const noexcept {
  if (nodes.size() != other.nodes.size() || absent != other.absent || unknown != other.unknown) return false;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].node != other.nodes[i].node || nodes[i].pages != other.nodes[i].pages) return false;
  return true;
}

std::uint32_t NodeHistogram::on(int node) const noexcept {
  for (const NodePages& entry : nodes)
    if (entry.node == node) return entry.pages;
  return 0;
}

std::uint32_t NodeHistogram::placed() const noexcept {
  std::uint32_t pages = 0;
  for (const NodePages& entry : nodes) pages += entry.pages;
  return pages;
}

int NodeHistogram::main_node() const noexcept {
  NodePages most;
  for (const NodePages& entry : nodes)
    if (entry.pages > most.pages) most = entry;
  return most.node;
}

}  // namespace vhostx
