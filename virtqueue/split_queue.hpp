// SPDX-License-Identifier: BSD-3-Clause
// SplitQueue: a split virtqueue as the device uses it, for one burst. It models Virtqueue (virtqueue.hpp).
#pragma once

#include <algorithm>
#include <cstdint>

#include <vhostx/vring_fault.hpp>

#include "memory/guest_memory.hpp"
#include "virtqueue/chain.hpp"
#include "virtqueue/chain_ledger.hpp"
#include "virtqueue/chain_walker.hpp"
#include "virtqueue/ring_layout.hpp"
#include "virtqueue/split_batch.hpp"
#include "virtqueue/split_single.hpp"
#include "virtqueue/vring_cursor.hpp"

namespace vhostx::virtqueue {

/// Used like this, once a burst; nothing is visible to the driver before publish():
///
///     SplitQueue queue(layout, cursor);
///     for (Chain chain; queue.take(chain) == Take::chain;) {
///       auto walker = queue.walk<Direction::readable>(chain, memory, hint);
///       ... read its pieces ...
///       queue.give_back(chain, bytes_written);
///     }
///     if (queue.publish() && queue.needs_call()) call.signal();
template <RingMarks Marks = NoMarks>
class SplitQueue {
 public:
  template <Direction direction>
  using Walker = ChainWalker<direction>;
  template <typename Shape>
  using Batch = SplitBatch<Shape, Marks::active>;
  template <typename Shape>
  using Single = SplitSingle<Shape, Marks::active>;
  static constexpr bool has_bad_chains = true;  ///< A head out of range cannot be given back.

  SplitQueue(const RingLayout& layout, VringCursor& cursor, Marks marks = {}) noexcept
      : marks_(marks),
        layout_(layout),
        cursor_(cursor),
        avail_next_(cursor.position.avail_next),
        used_next_(cursor.position.used_next) {}

  std::uint32_t size() const noexcept { return layout_.size; }

  /// Entries that the driver has made available and take() has not taken, at most the ring's size. Only the first call
  /// reads avail->idx. If that is out of range, this is 0 and cursor.fault is set.
  std::uint16_t ready(std::uint16_t = 0) noexcept {
    if (!index_loaded_) load_index();
    return static_cast<std::uint16_t>(avail_index_ - avail_next_);
  }
  bool is_empty() noexcept { return ready() == 0; }

  /// Whether the driver has made available all that the ring holds, and nothing was taken.
  bool is_full() noexcept { return ready() == layout_.size; }

  /// Takes the next chain whose head is in range. Heads out of range cannot be returned to the driver: they are
  /// skipped, and after bad_heads_max of them the ring is broken.
  Take take(Chain& chain) noexcept {
    std::uint16_t id = 0;
    const Take taken = take_head(id);
    if (taken == Take::chain) [[likely]]
      chain = chain_at(id);
    return taken;
  }
  /// Takes all chains and gives them back, without a look at their descriptors. Returns how many.
  std::uint16_t give_back_all() noexcept {
    std::uint16_t count = 0;
    for (std::uint16_t id = 0; take_head(id) == Take::chain; ++count) give_back({.id = id}, 0);
    return count;
  }
  /// Takes the first `count` chains that a batch has looked at, or the one of a Single.
  void take(const ChainList& chains, std::uint16_t count) noexcept { advance(chains.ids.data(), count); }
  void take(const Chain& chain) noexcept { advance(&chain.id, 1); }
  [[gnu::always_inline]] void use(const Chain& chain, std::uint32_t written) noexcept {
    give_back(chain, written);
    take(chain);
    publish();
  }
  /// Puts back the chain that was taken last, but not the bad ones that were skipped on the way to it.
  void untake(const Chain&) noexcept {
    --avail_next_;
    ledger_.add(-1);
  }

  /// Chain `i` that a batch has looked at, to be walked: its first descriptor is copied anew.
  Chain chain(const ChainList& chains, std::uint32_t i) const noexcept { return chain_at(chains.ids[i]); }
  template <Direction direction>
  Walker<direction> walk(const Chain& chain, const memory::GuestMemory& memory,
                         memory::GuestMemory::Hint& hint) const noexcept {
    return {layout_, memory, hint, cursor_.meter, chain};
  }

  static bool can_walk_later(const Chain&) noexcept { return true; }

  /// Writes into a chain's buffer: see memory::write().
  template <typename Store>
  [[gnu::always_inline]] void write(const memory::WritableSpan& to, Store store) const noexcept {
    memory::write(marks_, to, store);
  }

  /// Marks what the application wrote into buffers of a kept chain, which are in `memory`.
  void wrote(const memory::GuestMemory& memory, const memory::HostSpan& bytes) const noexcept {
    if constexpr (Marks::active)
      if (const auto address = memory.address_of(bytes.data)) marks_.mark(*address, bytes.size);
  }

  /// Skips the next chain, which cannot be given back: its head `id` is out of range. False: one more is not tolerated;
  /// it stays, and the ring is broken.
  bool skip_bad_chain(std::uint16_t id) noexcept {
    ++bad_chains_;
    if (++cursor_.bad_heads >= bad_heads_max) {
      fail({VringFaultCause::bad_head, id, id, layout_.size});
      return false;
    }
    marks_.skip(avail_next_);
    ++avail_next_;
    return true;
  }
  /// Bad chains skipped in this burst.
  std::uint16_t bad_chains() const noexcept { return bad_chains_; }

  /// Gives a chain back to the driver; `written` is how many bytes the device wrote into it (2.7.8.2).
  void give_back(const Chain& chain, std::uint32_t written) noexcept {
    layout_used().set_entry(marks_, layout_.slot(used_next_), chain.id, written);
    marks_.give(used_next_, &chain.id, 1);
    ++used_next_;
    ledger_.add(-1);
  }
  /// The same for `count` chains of a batch from chain `begin` on; `written(i)` is called for each, with a std::size_t
  /// from 0 on.
  template <typename Written>
  [[gnu::always_inline]] void give_back(const ChainList& chains, std::uint16_t begin, std::uint16_t count,
                                        Written written) noexcept {
    const std::uint16_t* const ids = chains.ids.data() + begin;
    UsedRing used = layout_used();
    const std::uint32_t slot = layout_.slot(used_next_);
    const std::uint32_t straight = std::min<std::uint32_t>(count, layout_.size - slot);
    marks_.give(used_next_, ids, count);
    used_next_ = static_cast<std::uint16_t>(used_next_ + count);
    ledger_.add(-count);
    used.set_entries(marks_, slot, straight, ids, written);
    if (straight != count) [[unlikely]]
      used.set_entries(marks_, 0, count - straight, ids + straight,
                       [written, straight](std::size_t i) { return written(straight + i); });
  }
  /// The layer above keeps chains that were taken, and remembers their ids and entries.
  void keep(std::uint16_t chains) noexcept {
    marks_.keep();
    ledger_.add(-chains);
  }
  /// Gives a kept chain back, in this burst or a later one.
  void give_back_kept(const Chain& chain, std::uint32_t written) noexcept {
    ledger_.add(1);
    give_back(chain, written);
  }

  /// A position to return to if a packet does not fit. What was given back since is invisible to the driver.
  struct Mark {
    std::uint16_t avail_next;
    std::uint16_t used_next;
    ChainLedger ledger;
  };
  Mark mark() const noexcept { return {avail_next_, used_next_, ledger_}; }
  void rewind(const Mark& to) noexcept {
    avail_next_ = to.avail_next;
    used_next_ = to.used_next;
    ledger_ = to.ledger;
  }

  /// Publishes what was given back to the driver and stores the position. True: there was something, and needs_call()
  /// must follow. Its fence is also the one between the avail event and the next burst's load of avail->idx. Records
  /// what the burst has taken, kept and given back (InflightRecord).
  bool publish() noexcept {
    ledger_.check();
    RingPosition& position = cursor_.position;
    const std::uint16_t used_before = position.used_next;
    marks_.before_index(avail_next_, used_before, used_next_);
    position.avail_next = avail_next_;
    if (used_next_ == used_before) return false;
    position.used_next = used_next_;
    layout_used().set_index_release(marks_, used_next_);
    marks_.after_index(used_before, used_next_);
    if (position.notifications && layout_.features.event_idx) layout_used().set_avail_event(marks_, avail_next_);
    return true;
  }

  /// For a burst that took chains and keeps them: moves the avail event although nothing is published. The fence, like
  /// that of needs_call() after publish(), is for the next burst: if that finds nothing, the thread may sleep.
  void publish_position() noexcept {
    if (!cursor_.position.notifications || !layout_.features.event_idx) return;
    layout_used().set_avail_event(marks_, avail_next_);
    full_fence();
  }

  /// After publish(): whether the driver wants a notification for what was published (2.7.7.2, 2.7.10.1).
  bool needs_call() noexcept {
    full_fence();
    if (!layout_.features.event_idx) return (layout_.avail.flags() & AvailRing::no_interrupt_flag) == 0;
    RingPosition& position = cursor_.position;
    const std::uint16_t before = position.used_signalled;
    const bool first = !position.signalled_valid;
    position.used_signalled = used_next_;
    position.signalled_valid = true;
    return first || event_passed(layout_.avail.used_event(), used_next_, before);
  }

  void fail(const VringFault& fault) noexcept {
    if (!broken()) cursor_.fault = fault;
  }
  bool broken() const noexcept { return cursor_.broken(); }

 private:
  template <typename Shape, bool keeps_addresses>
  friend class SplitBatch;
  template <typename Shape, bool keeps_addresses>
  friend class SplitSingle;

  /// The entry at `ahead` entries after the next one; `ahead` is below ready(). The driver's value: it may be out of
  /// range.
  std::uint16_t head(std::uint16_t ahead) const noexcept {
    std::uint16_t again = 0;
    if (marks_.copy_again(static_cast<std::uint16_t>(avail_next_ + ahead), &again, 1) != 0) return again;
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
    if (marks_.copy_again(avail_next_, heads, count) == 0 && all < size)
        [[likely]]  // `size` is a power of two: all heads have only bits below it
      return count;
    return static_cast<std::uint16_t>(
        std::find_if(heads, heads + count, [size](std::uint16_t head) { return head >= size; }) - heads);
  }

  Take take_head(std::uint16_t& id) noexcept {
    while (ready() != 0) {
      id = head(0);
      if (id < layout_.size) [[likely]] {
        advance(&id, 1);
        return Take::chain;
      }
      if (!skip_bad_chain(id)) return Take::invalid;
    }
    return broken() ? Take::invalid : Take::empty;
  }
  Chain chain_at(std::uint16_t id) const noexcept { return {.id = id, .first = layout_.descriptor(id)}; }
  void advance(const std::uint16_t* ids, std::uint16_t count) noexcept {
    marks_.take(avail_next_, ids, count);
    avail_next_ = static_cast<std::uint16_t>(avail_next_ + count);
    ledger_.add(count);
  }

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

  [[no_unique_address]] Marks marks_;
  const RingLayout& layout_;
  VringCursor& cursor_;
  std::uint16_t avail_next_;
  std::uint16_t used_next_;
  std::uint16_t avail_index_ = 0;
  std::uint16_t bad_chains_ = 0;
  bool index_loaded_ = false;
  [[no_unique_address]] ChainLedger ledger_;
};

/// Whether nothing is available: the cheapest check, for rings that are polled. Nothing else may be decided on it.
inline bool is_idle(const RingLayout& layout, const VringCursor& cursor) noexcept {
  return layout.avail.index_acquire() == cursor.position.avail_next;
}

/// Entries that are available; 0 if the index is out of range, which the next burst finds.
inline std::uint16_t pending(const RingLayout& layout, const VringCursor& cursor) noexcept {
  const auto ahead = static_cast<std::uint16_t>(layout.avail.index_acquire() - cursor.position.avail_next);
  return ahead <= layout.size ? ahead : std::uint16_t{0};
}

/// Where a ring that starts goes on: at used->idx, not at the front-end's base. Buffers between used->idx and a higher
/// base were taken by an earlier back-end and never returned. A front-end that sends base 0 after a reconnection
/// (DPDK's virtio-user) has got all buffers before used->idx back. This library returns buffers in order, and a ring
/// that lends has returned all when it stops, so used->idx is right in both cases.
inline RingPosition resume(const RingLayout& layout) noexcept {
  const std::uint16_t index = layout.used.index();
  return {.avail_next = index, .used_next = index};
}

/// See Watch.
inline Watch watch(const RingLayout& layout, const VringCursor& cursor) noexcept {
  return {layout.avail.index_address(), cursor.position.avail_next};
}

/// Switches kicks of the driver on or off (2.7.10). On: returns whether entries are available already, for which the
/// driver will not kick.
template <RingMarks Marks = NoMarks>
bool set_notifications(const RingLayout& layout, VringCursor& cursor, bool on, Marks marks = {}) noexcept {
  UsedRing used = layout.used;
  cursor.position.notifications = on;
  used.set_flags(marks, on ? 0 : UsedRing::no_notify_flag);
  if (!on) return false;
  if (layout.features.event_idx) used.set_avail_event(marks, cursor.position.avail_next);
  full_fence();
  return layout.avail.index_acquire() != cursor.position.avail_next;
}

}  // namespace vhostx::virtqueue
