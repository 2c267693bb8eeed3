// SPDX-License-Identifier: BSD-3-Clause
// SplitQueue: a split virtqueue as the device uses it, for one burst.
#pragma once

#include <algorithm>
#include <cstdint>

#include <vhostx/enqueue_end.hpp>
#include <vhostx/vring_fault.hpp>

#include "memory/guest_memory.hpp"
#include "virtqueue/ring_layout.hpp"
#include "virtqueue/walk_budget.hpp"

namespace vhostx::virtqueue {

/// A ring's private position. Belongs to the data thread; the control thread looks at it only while the gate is shut.
struct VringCursor {
  std::uint16_t avail_next = 0;                     ///< Next avail entry to look at; what GET_VRING_BASE answers.
  std::uint16_t used_next = 0;                      ///< Next used entry to write.
  std::uint16_t used_signalled = 0;                 ///< used_next at the last notification decision (EVENT_IDX).
  bool signalled_valid = false;                     ///< False after a start: the first decision is to call.
  bool notifications = false;                       ///< Whether the driver should kick.
  std::uint8_t bad_heads = 0;                       ///< Heads out of range seen so far.
  EnqueueEnd enqueue_end = EnqueueEnd::no_buffers;  ///< Why the last burst to the guest left packets.
  VringFault fault;                                 ///< Why the ring is broken.
  std::uint64_t hint_serial = 0;                    ///< The snapshot that `hint` belongs to.
  memory::GuestMemory::Hint hint;
  WalkMeter meter;  ///< What walking its chains has cost.
};

enum class Pop {
  empty,    ///< Nothing there.
  chain,    ///< A head index inside the table.
  invalid,  ///< The driver broke the specification: cursor.fault says how.
};

/// Heads out of range after which a ring is broken. A few are tolerated: only the driver loses a head that cannot be
/// returned.
inline constexpr std::uint8_t bad_heads_max = 8;

/// Used like this, once a burst; nothing is visible to the driver before publish():
///
///     SplitQueue queue(layout, cursor);
///     for (std::uint16_t head; queue.pop(head) == Pop::chain;) {
///       ... walk the chain ...
///       queue.add_used(head, bytes_written);
///     }
///     if (queue.publish() && queue.needs_call()) call.signal();
class SplitQueue {
 public:
  SplitQueue(const RingLayout& layout, VringCursor& cursor) noexcept
      : layout_(layout), cursor_(cursor), avail_next_(cursor.avail_next), used_next_(cursor.used_next) {}

  /// Entries that the driver has made available and pop() has not taken, at most the ring's size. Only the first call
  /// reads avail->idx. If that is out of range, this is 0 and cursor.fault is set.
  std::uint16_t ready() noexcept {
    if (!index_loaded_) load_index();
    return static_cast<std::uint16_t>(avail_index_ - avail_next_);
  }

  /// The entry at `ahead` entries after the next one; `ahead` is below ready(). The driver's value: it may be out of
  /// range.
  std::uint16_t head(std::uint16_t ahead) const noexcept {
    return layout_.avail.entry(layout_.slot(static_cast<std::uint16_t>(avail_next_ + ahead)));
  }

  /// Copies head(0) to head(count - 1). Returns how many of them are in range, before the first that is not.
  [[gnu::always_inline]] std::uint16_t copy_heads(std::uint16_t* heads, std::uint16_t count) const noexcept {
    const AvailRing avail = layout_.avail;
    const std::uint32_t size = layout_.size;
    const std::uint32_t first = layout_.slot(avail_next_);
    const std::uint32_t straight = std::min<std::uint32_t>(count, size - first);
    std::uint16_t all = avail.copy_entries(first, straight, heads);
    if (straight != count) [[unlikely]]
      all |= avail.copy_entries(0, count - straight, heads + straight);
    if (all < size) [[likely]]  // `size` is a power of two: all heads have only bits below it
      return count;
    return static_cast<std::uint16_t>(
        std::find_if(heads, heads + count, [size](std::uint16_t head) { return head >= size; }) - heads);
  }

  /// Skips `count` entries (at most ready()), which the caller has taken by head().
  void advance(std::uint16_t count) noexcept { avail_next_ = static_cast<std::uint16_t>(avail_next_ + count); }

  /// Takes the next head that is in range. Heads out of range cannot be returned to the driver: they are skipped, and
  /// after bad_heads_max of them the ring is broken.
  Pop pop(std::uint16_t& head_out) noexcept {
    while (ready() != 0) {
      const std::uint16_t head_index = head(0);
      advance(1);
      if (head_index < layout_.size) [[likely]] {
        head_out = head_index;
        return Pop::chain;
      }
      if (!skip_bad_head(head_index)) return Pop::invalid;
    }
    return broken() ? Pop::invalid : Pop::empty;
  }

  /// Counts a head that is out of range. False: it was the last that is tolerated, and the ring is broken.
  bool skip_bad_head(std::uint16_t head_index) noexcept {
    ++bad_heads_skipped_;
    if (++cursor_.bad_heads < bad_heads_max) return true;
    fail({VringFaultCause::bad_head, head_index, head_index, layout_.size});
    return false;
  }

  /// Returns a chain to the driver; `written` is how many bytes the device wrote into it (2.7.8.2).
  void add_used(std::uint16_t head_index, std::uint32_t written) noexcept {
    layout_used().set_entry(layout_.slot(used_next_), head_index, written);
    ++used_next_;
  }

  /// The same for many chains in a row; `written(i)` is called for each, with a std::size_t.
  template <typename Written>
  [[gnu::always_inline]] void add_used_run(const std::uint16_t* heads, std::uint16_t count, Written written) noexcept {
    UsedRing used = layout_used();
    const std::uint32_t slot = layout_.slot(used_next_);
    const std::uint32_t straight = std::min<std::uint32_t>(count, layout_.size - slot);
    used_next_ = static_cast<std::uint16_t>(used_next_ + count);
    used.set_entries(slot, straight, heads, written);
    if (straight != count) [[unlikely]]
      used.set_entries(0, count - straight, heads + straight,
                       [written, straight](std::size_t i) { return written(straight + i); });
  }

  /// A position to return to if a packet does not fit. What was written since is invisible to the driver.
  struct Mark {
    std::uint16_t avail_next;
    std::uint16_t used_next;
  };
  Mark mark() const noexcept { return {avail_next_, used_next_}; }
  void rewind(Mark to) noexcept {
    avail_next_ = to.avail_next;
    used_next_ = to.used_next;
  }

  /// Publishes the used entries to the driver and stores the position. True: there were some, and needs_call() must
  /// follow. Its fence is also the one between the avail event and the next burst's load of avail->idx.
  bool publish() noexcept {
    cursor_.avail_next = avail_next_;
    if (used_next_ == cursor_.used_next) return false;
    cursor_.used_next = used_next_;
    layout_used().set_index_release(used_next_);
    if (cursor_.notifications && layout_.features.event_idx) layout_used().set_avail_event(avail_next_);
    return true;
  }

  /// For a burst that took chains and keeps them: moves the avail event although nothing is published. The fence, like
  /// that of needs_call() after publish(), is for the next burst: if that finds nothing, the thread may sleep.
  void publish_position() noexcept {
    if (!cursor_.notifications || !layout_.features.event_idx) return;
    layout_used().set_avail_event(avail_next_);
    full_fence();
  }

  /// After publish(): whether the driver wants a notification for what was published (2.7.7.2, 2.7.10.1).
  bool needs_call() noexcept {
    full_fence();
    if (!layout_.features.event_idx) return (layout_.avail.flags() & AvailRing::no_interrupt_flag) == 0;
    const std::uint16_t before = cursor_.used_signalled;
    const bool first = !cursor_.signalled_valid;
    cursor_.used_signalled = used_next_;
    cursor_.signalled_valid = true;
    return first || event_passed(layout_.avail.used_event(), used_next_, before);
  }

  void fail(const VringFault& fault) noexcept {
    if (!broken()) cursor_.fault = fault;
  }
  bool broken() const noexcept { return cursor_.fault.cause != VringFaultCause::none; }

  const RingLayout& layout() const noexcept { return layout_; }
  /// Heads out of range skipped in this burst.
  std::uint16_t bad_heads_skipped() const noexcept { return bad_heads_skipped_; }

 private:
  void load_index() noexcept {
    index_loaded_ = true;
    avail_index_ = layout_.avail.index_acquire();
    const auto ahead = static_cast<std::uint16_t>(avail_index_ - avail_next_);
    if (ahead <= layout_.size) [[likely]]
      return;
    fail({VringFaultCause::avail_index_jump, 0, avail_index_, avail_next_});
    avail_index_ = avail_next_;
  }
  UsedRing layout_used() const noexcept { return layout_.used; }

  const RingLayout& layout_;
  VringCursor& cursor_;
  std::uint16_t avail_next_;
  std::uint16_t used_next_;
  std::uint16_t avail_index_ = 0;
  std::uint16_t bad_heads_skipped_ = 0;
  bool index_loaded_ = false;
};

/// Whether nothing is available: the cheapest check, for rings that are polled. Nothing else may be decided on it.
inline bool is_idle(const RingLayout& layout, const VringCursor& cursor) noexcept {
  return layout.avail.index_acquire() == cursor.avail_next;
}

/// Switches kicks of the driver on or off (2.7.10). On: returns whether entries are available already, for which the
/// driver will not kick.
inline bool set_notifications(const RingLayout& layout, VringCursor& cursor, bool on) noexcept {
  UsedRing used = layout.used;
  cursor.notifications = on;
  used.set_flags(on ? 0 : UsedRing::no_notify_flag);
  if (!on) return false;
  if (layout.features.event_idx) used.set_avail_event(cursor.avail_next);
  full_fence();
  return layout.avail.index_acquire() != cursor.avail_next;
}

}  // namespace vhostx::virtqueue
