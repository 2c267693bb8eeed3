// SPDX-License-Identifier: BSD-3-Clause
// AnyLayout: a ring of either kind, for those who do not look into it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <vhostx/result.hpp>

#include "memory/dirty_log.hpp"
#include "memory/guest_memory.hpp"
#include "memory/window.hpp"
#include "virtqueue/inflight_record.hpp"
#include "virtqueue/packed_inflight_record.hpp"
#include "virtqueue/packed_queue.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::virtqueue {

/// One of the two is laid out.
struct AnyLayout {
  RingLayout split;
  PackedLayout packed;
  RingKind kind = RingKind::split;

  std::uint32_t size() const noexcept { return kind == RingKind::split ? split.size : packed.size; }
  const std::array<std::shared_ptr<const memory::Window>, 3>& windows() const noexcept {
    return kind == RingKind::split ? split.windows : packed.windows;
  }
  /// As the functions of these names of the layout.
  std::array<memory::HostSpan, 3> areas() const noexcept {
    return kind == RingKind::split ? split.areas() : packed.areas();
  }
  bool was_used() const noexcept { return kind == RingKind::split ? split.was_used() : packed.was_used(); }
  /// Marks what a start may have written into the ring: recovery of what was in flight, or finish_burst().
  void mark_start(const memory::DirtyLog& log) const noexcept {
    if (kind == RingKind::packed) log.mark(packed.address, packed.size * PackedTable::entry_bytes);
  }
  bool is_untouched() const noexcept { return kind == RingKind::split ? split.is_untouched() : packed.is_untouched(); }
};

/// The record of what is in flight on one, or neither: nobody keeps one.
struct AnyRecord {
  std::shared_ptr<InflightRecord> split;
  std::shared_ptr<PackedInflightRecord> packed;

  explicit operator bool() const noexcept { return split != nullptr || packed != nullptr; }
  std::uint16_t left() const noexcept { return split != nullptr ? split->left() : packed->left(); }
  void end() const noexcept { split != nullptr ? split->end() : packed->end(); }
};

/// As check_ring_size() and lay_out_ring(), or check_packed_size() and lay_out_packed().
Result<void> check_ring_size(RingKind kind, std::uint32_t size);
Result<AnyLayout> lay_out_ring(RingKind kind, const memory::GuestMemory& memory, const RingAddresses& addresses,
                               std::uint32_t size, RingFeatures features);

/// As the functions of these names for a layout.
inline bool is_idle(const AnyLayout& layout, const VringCursor& cursor) noexcept {
  return layout.kind == RingKind::split ? is_idle(layout.split, cursor) : is_idle(layout.packed, cursor);
}
inline std::uint16_t pending(const AnyLayout& layout, const VringCursor& cursor) noexcept {
  return layout.kind == RingKind::split ? pending(layout.split, cursor) : pending(layout.packed, cursor);
}
inline Watch watch(const AnyLayout& layout, const VringCursor& cursor) noexcept {
  return layout.kind == RingKind::split ? watch(layout.split, cursor) : watch(layout.packed, cursor);
}

/// What SET_VRING_BASE brings and GET_VRING_BASE answers: of a split ring the next avail entry; of a packed one its
/// place (PackedPosition) in the low half, and the place of the next used descriptor in the upper one. At the answer
/// they are the same: a ring that stops has given back all that it took.
std::uint32_t base_of(RingKind kind, const RingPosition& position) noexcept;

/// Whether a packed ring's base is that of a fresh one.
constexpr bool begins_afresh(std::uint32_t base) noexcept {
  const PackedPosition used{static_cast<std::uint16_t>(base >> 16)};
  const PackedPosition place = used.value == 0 ? PackedPosition{static_cast<std::uint16_t>(base)} : used;
  return place.value == 0 || place == PackedPosition{};
}

/// Where a ring that starts goes on. A split ring tells (resume()), whatever the base is. So does a packed ring as a
/// rule (PackedLayout::find_position()): after the death of a back-end QEMU sends the base of an earlier start, or of a
/// fresh ring. Where it does not tell, its base is taken, the place of the next used descriptor or, where the upper
/// half is 0, of the next available one (DPDK leaves it 0), unless that says "at the beginning". What a device that
/// died has not finished is finished (finish_burst()). Errors: protocol_violation (a base outside the ring; a place
/// that neither shows).
Result<RingPosition> start_position(const AnyLayout& layout, std::uint32_t base);

}  // namespace vhostx::virtqueue
