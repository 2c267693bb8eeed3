// SPDX-License-Identifier: BSD-3-Clause
// What only a vring's data thread writes while the ring runs.
#pragma once

#include "backend/ring/counter_pages.hpp"
#include "backend/ring/running_vring.hpp"
#include "net/ring_context.hpp"
#include "virtqueue/any_layout.hpp"

namespace vhostx::backend {

/// Part of VringCore, so it is in pages that NUMA placement can move.
struct VringDataState {
  PagedCounters counters;
  virtqueue::VringCursor cursor;
  const void* pool = this;  ///< The last mempool that was found good; itself, which is none: no pool yet.

  /// The driver broke the rules; until the next start.
  bool broken() const noexcept { return cursor.broken(); }
};

/// The hint belongs to one memory table; with another table it is reset.
inline void forget_old_hint(const RunningVring& running, VringDataState& data) noexcept {
  if (data.cursor.hint_serial == running.serial) return;
  data.cursor.hint = {};
  data.cursor.hint_serial = running.serial;
}

/// What a burst on a split ring works on.
inline net::SplitContext context_of(const RunningVring& running, VringDataState& data) noexcept {
  forget_old_hint(running, data);
  return {running.layout.split, *running.memory, data.cursor, data.counters, running.features, running.frame_max};
}

/// The same on a packed one.
inline net::PackedContext packed_context_of(const RunningVring& running, VringDataState& data) noexcept {
  forget_old_hint(running, data);
  return {running.layout.packed, *running.memory, data.cursor, data.counters, running.features, running.frame_max};
}

/// Calls `use` with the context of a ring of either kind, which may be logged or recorded.
template <typename Use>
auto with_context(const RunningVring& running, VringDataState& data, Use use) noexcept {
  const auto with_marks = [&]<typename Context>(const Context& context) {
    if (!running.marks) return use(context);
    const auto result = use(net::Logged<Context>{
        context, {running.log.get(), running.used_log, running.inflight.split.get(), running.inflight.packed.get()}});
    if (running.log_signal != nullptr) running.log_signal->signal();
    return result;
  };
  if (running.layout.kind == virtqueue::RingKind::split) return with_marks(context_of(running, data));
  return with_marks(packed_context_of(running, data));
}

}  // namespace vhostx::backend
