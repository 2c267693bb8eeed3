// SPDX-License-Identifier: BSD-3-Clause
#include "backend/translation_placer.hpp"

namespace vhostx::backend {

void TranslationPlacer::follow(const std::shared_ptr<const memory::GuestMemory>& memory,
                               const NodeHistogram& rings) noexcept {
  const int node = rings.main_node();
  if (!follows_ || memory == nullptr || node == no_node) return;
  if (node == node_ && placed_.lock() == memory) return;
  placed_ = memory;
  node_ = node;
  for (const memory::HostSpan& span : memory->own_pages())
    if (span.size != 0) kernel_.move(span.data, span.size, node);
}

}  // namespace vhostx::backend
