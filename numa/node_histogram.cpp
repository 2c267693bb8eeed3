// SPDX-License-Identifier: BSD-3-Clause
// The public NodeHistogram.
#include <vhostx/placement.hpp>

namespace vhostx {

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
