// SPDX-License-Identifier: BSD-3-Clause
// What only a vring's data thread writes while the ring runs.
#pragma once

#include "backend/ring/counter_pages.hpp"
#include "backend/ring/running_vring.hpp"
#include "net/ring_context.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::backend {

/// Part of VringCore, so it is in pages that NUMA placement can move.
struct VringDataState {
  PagedCounters counters;
  virtqueue::VringCursor cursor;
  const void* pool = this;  ///< The last mempool that was found good; itself, which is none: no pool yet.

  /// The driver broke the rules; until the next start.
  bool broken() const noexcept { return cursor.broken(); }
};

/// What a burst works on. The hint belongs to one memory table; with another table it is reset.
inline net::SplitContext context_of(const RunningVring& running, VringDataState& data) noexcept {
  if (data.cursor.hint_serial != running.serial) {
    data.cursor.hint = {};
    data.cursor.hint_serial = running.serial;
  }
  return {running.layout, *running.memory, data.cursor, data.counters, running.features, running.frame_max};
}

/// Calls `use` with the context of a ring that may be logged or recorded.
template <typename Use>
auto with_context(const RunningVring& running, VringDataState& data, Use use) noexcept {
  const net::SplitContext context = context_of(running, data);
  if (!running.marks) return use(context);
  const auto result =
      use(net::Logged<net::SplitContext>{context, {running.log.get(), running.used_log, running.inflight.get()}});
  if (running.log_signal != nullptr) running.log_signal->signal();
  return result;
}

}  // namespace vhostx::backend
