// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/translation_placer.hpp"

#include <vector>

#include "numa/move.hpp"

namespace vhostx::backend {

void TranslationPlacer::follow(const std::shared_ptr<const memory::GuestMemory>& memory, const NodeHistogram& rings) {
  const int node = rings.main_node();
  if (!follows_ || memory == nullptr || node == no_node) return;
  if (node == node_ && placed_.lock() == memory) return;
  std::vector<MemoryArea> areas;
  for (const memory::HostSpan& span : memory->own_pages())
    if (span.size != 0) areas.push_back({reinterpret_cast<std::uintptr_t>(span.data), span.size});
  const NodeHistogram now = numa::move_to(kernel_, areas, node).after.histogram;
  // The kernel reports success even if the node is full and nothing moved: tried again at the next check.
  placed_ = now.on(node) == now.placed() ? memory : nullptr;
  node_ = node;
}

}  // namespace vhostx::backend
