// SPDX-License-Identifier: BSD-3-Clause
#include "numa/move.hpp"

namespace vhostx::numa {
namespace {

double share(const NodeHistogram& histogram, int node) noexcept {
  const std::uint32_t placed = histogram.placed();
  return placed == 0 ? 0.0 : static_cast<double>(histogram.on(node)) / placed;
}

}  // namespace

Move move_to(const Kernel& kernel, std::span<const MemoryArea> areas, int node) {
  Move move;
  const std::uint32_t before = look_at(kernel, areas).histogram.on(node);
  for (const MemoryArea& area : areas) {
    const int error = kernel.move(reinterpret_cast<void*>(area.address), area.bytes, node);
    if (move.error == 0) move.error = error;
  }
  move.after = look_at(kernel, areas);
  const std::uint32_t now = move.after.histogram.on(node);
  move.moved = now > before ? now - before : 0;
  return move;
}

int wanted_node(const NodeHistogram& ring, const NodeHistogram& buffers, int current) noexcept {
  constexpr double better_by = 0.25;  // of a score of 2 at most
  const auto score = [&](int node) { return share(ring, node) + share(buffers, node); };
  int best = ring.main_node();
  for (const auto* nodes : {&ring.nodes, &buffers.nodes})
    for (const NodePages& entry : *nodes)
      if (score(entry.node) > score(best)) best = entry.node;
  if (current != no_node && best != no_node && score(best) < score(current) + better_by) return current;
  return best;
}

}  // namespace vhostx::numa
