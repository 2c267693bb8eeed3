// SPDX-License-Identifier: BSD-3-Clause
// PackedQueue: a packed virtqueue as the device uses it, for one burst. It models Virtqueue (virtqueue.hpp).
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <numeric>
#include <utility>

#include <vhostx/vring_fault.hpp>

#include "memory/guest_memory.hpp"
#include "virtqueue/chain.hpp"
#include "virtqueue/chain_ledger.hpp"
#include "virtqueue/chain_walker.hpp"
#include "virtqueue/packed_batch.hpp"
#include "virtqueue/packed_inflight_record.hpp"
#include "virtqueue/packed_layout.hpp"
#include "virtqueue/single_chain.hpp"
#include "virtqueue/vring_cursor.hpp"

namespace vhostx::virtqueue {

/// Used as SplitQueue. What it gives back overwrites descriptors, of chains that were taken. The driver looks at none
/// of it before the first: so that is written by publish(), and the others at once, unless they may be taken back
/// (rewind()) or chains are recorded (PackedInflightRecord); those are kept aside.
template <RingMarks Marks = NoMarks>
class PackedQueue {
 public:
  template <Direction direction>
  using Walker = ChainWalker<direction, PackedLayout>;
  template <typename Shape>
  using Batch = PackedBatch<Shape, Marks::active>;
  template <typename Shape>
  using Single = SingleChain<Shape, Marks::active, true>;
  static constexpr bool has_bad_chains = false;  ///< Any id can be given back.

  PackedQueue(const PackedLayout& layout, VringCursor& cursor, Marks marks = {}) noexcept
      : marks_(marks),
        layout_(layout),
        cursor_(cursor),
        avail_next_{cursor.position.avail_next},
        used_next_{cursor.position.used_next},
        room_(avail_next_ == used_next_ ? layout.size : layout.size - avail_next_.since(used_next_, layout.size)),
        keeps_aside_(is_recorded()) {}

  std::uint32_t size() const noexcept { return layout_.size; }

  /// Entries that are available and not taken, as far as somebody has looked: so many chains, or fewer. Looks at the
  /// next `count`, at most batch_max.
  [[gnu::always_inline]] std::uint16_t ready(std::uint16_t count = batch_max) noexcept {
    if (count > 1) count = std::min(count, batch_max);
    if (ready_ < count && !ended_) {
      const std::uint32_t most = std::min<std::uint32_t>(count, room_);
      if (ready_ != 0 || (most != 0 && layout_.is_available(avail_next_)))
        ready_ = count_available(layout_, avail_next_, most);
      ended_ = ready_ != count;
    }
    return ready_;
  }
  [[gnu::always_inline]] bool is_empty() noexcept { return ready(1) == 0; }

  bool is_full() noexcept {
    if (room_ != layout_.size) return false;
    for (std::uint32_t i = 0; i < layout_.size; ++i)
      if (!layout_.is_available(avail_next_.after(i, layout_.size))) return false;
    return true;
  }

  Take take(Chain& chain) noexcept {
    if (ready(1) == 0 || broken()) return broken() ? Take::invalid : Take::empty;
    const std::uint32_t index = avail_next_.index();
    const PackedDescriptor first = layout_.table.load(index);
    if (!avail_next_.is_available(first.flags())) {
      found_end(0);
      return Take::empty;
    }
    const auto [id, entries] = layout_.find_end(index, first, room_);
    if (entries == 0) {
      fail({VringFaultCause::chain_too_long, id, layout_.size + std::uint64_t{1}, layout_.size});
      return Take::invalid;
    }
    chain = {.id = id, .at = static_cast<std::uint16_t>(index), .entries = entries, .first = first};
    record_take(id, entries);
    advance(entries);
    ledger_.add(1);
    return Take::chain;
  }
  std::uint16_t give_back_all() noexcept {
    std::uint16_t count = 0;
    for (Chain chain; take(chain) == Take::chain; ++count) give_back(chain, 0);
    return count;
  }
  void take(const ChainList& chains, std::uint16_t count) noexcept {
    if (is_recorded()) [[unlikely]] {
      for (std::uint16_t i = 0; i < count; ++i) take({.id = chains.ids[i], .entries = entries_of(chains, i, 1)});
      return;
    }
    advance(entries_of(chains, 0, count));
    ledger_.add(count);
  }
  void take(const Chain& chain) noexcept {
    record_take(chain.id, chain.entries);
    advance(chain.entries);
    ledger_.add(1);
  }
  [[gnu::always_inline]] void use(const Chain& chain, std::uint32_t written) noexcept {
    if (has_first_ || chain.entries != 1 || is_recorded()) [[unlikely]] {
      take(chain);
      give_back(chain, written);
      publish();
      return;
    }
    first_ = PackedTable::used_whole(used_next_, chain.id, written);
    used_next_ = used_next_.after(1, layout_.size);
    avail_next_ = avail_next_.after(1, layout_.size);
    show();
  }
  void untake(const Chain& chain) noexcept {
    avail_next_ = avail_next_.before(chain.entries, layout_.size);
    room_ += chain.entries;
    look_again();
    ledger_.add(-1);
  }

  /// Chain `i` of a list that begins with the next chain.
  Chain chain(const ChainList& chains, std::uint32_t i) const noexcept {
    const std::uint32_t index = avail_next_.after(entries_of(chains, 0, i), layout_.size).index();
    return {.id = chains.ids[i],
            .at = static_cast<std::uint16_t>(index),
            .entries = chains.all_single ? std::uint16_t{1} : chains.entries[i],
            .first = layout_.table.load(index)};
  }
  template <Direction direction>
  Walker<direction> walk(const Chain& chain, const memory::GuestMemory& memory,
                         memory::GuestMemory::Hint& hint) const noexcept {
    return {layout_, memory, hint, cursor_.meter, chain};
  }
  /// Of a chain of several entries only the first one's copy is left when others were given back.
  static bool can_walk_later(const Chain& chain) noexcept { return chain.entries == 1; }

  template <typename Store>
  [[gnu::always_inline]] void write(const memory::WritableSpan& to, Store store) const noexcept {
    memory::write(marks_, to, store);
  }
  void wrote(const memory::GuestMemory& memory, const memory::HostSpan& bytes) const noexcept {
    if constexpr (Marks::active)
      if (const auto address = memory.address_of(bytes.data)) marks_.mark(*address, bytes.size);
  }

  static bool skip_bad_chain(std::uint16_t) noexcept { return false; }
  static std::uint16_t bad_chains() noexcept { return 0; }

  void give_back(const Chain& chain, std::uint32_t written) noexcept {
    ledger_.add(-1);
    if (keeps_aside_) {
      assert(aside_count_ < layout_.asides->size());
      (*layout_.asides)[aside_count_++] = {chain.id, static_cast<std::uint16_t>(chain.entries), written};
    } else {
      put(used_next_, chain.id, written, chain.entries);
    }
    used_next_ = used_next_.after(chain.entries, layout_.size);
  }
  /// `written(i)` is 0 for all of them, or for none.
  template <typename Written>
  [[gnu::always_inline]] void give_back(const ChainList& chains, std::uint16_t begin, std::uint16_t count,
                                        Written written) noexcept {
    if (count == 0) return;
    if (!is_recorded()) put_asides();
    if (!chains.all_single || keeps_aside_ || (layout_.features.in_order && written(0) == 0)) [[unlikely]]
      return put_others(chains, begin, count, written);
    ledger_.add(-count);
    put_run(chains.ids.data() + begin, count, written);
  }
  void keep(std::uint16_t chains) noexcept { ledger_.add(-chains); }
  void give_back_kept(const Chain& chain, std::uint32_t written) noexcept {
    ledger_.add(1);
    give_back(chain, written);
  }

  /// What was given back before it cannot be taken back any more.
  struct Mark {
    PackedPosition avail_next;
    PackedPosition used_next;
    std::uint32_t room;
    std::uint32_t asides;
    ChainLedger ledger;
  };
  Mark mark() noexcept {
    if (!is_recorded()) put_asides();
    keeps_aside_ = true;
    return {avail_next_, used_next_, room_, aside_count_, ledger_};
  }
  void rewind(const Mark& to) noexcept {
    avail_next_ = to.avail_next;
    used_next_ = to.used_next;
    room_ = to.room;
    ledger_ = to.ledger;
    aside_count_ = to.asides;
    look_again();
  }

  bool publish() noexcept {
    ledger_.check();
    const std::uint32_t recorded = record_burst();
    put_asides();
    cursor_.position.avail_next = avail_next_.value;
    if (has_first_) {
      show();
      if constexpr (Marks::active)
        if (is_recorded()) marks_.packed_record->after_used(recorded, used_next_, marks_.stored());
    }
    return std::exchange(has_first_, false);
  }
  void publish_position() noexcept {
    if (!cursor_.position.notifications || !layout_.features.event_idx) return;
    want_kick();
    full_fence();
  }

  /// VIRTIO 1.2, 2.8.10.
  [[gnu::always_inline]] bool needs_call() noexcept {
    full_fence();
    const auto [event, flags] = layout_.driver.load();
    RingPosition& position = cursor_.position;
    const PackedPosition before{position.used_signalled};
    const bool first = !position.signalled_valid;
    position.used_signalled = used_next_.value;
    position.signalled_valid = true;
    if (flags != PackedEvent::at_place || !layout_.features.event_idx) return flags != PackedEvent::disable;
    // Whether the entry `event` was used since, in the lap that its wrap counter says.
    if (first) return true;
    return used_next_.since(event, layout_.size) - 1 < used_next_.since(before, layout_.size);
  }

  void fail(const VringFault& fault) noexcept {
    if (!broken()) cursor_.fault = fault;
  }
  bool broken() const noexcept { return cursor_.broken(); }

 private:
  template <typename Shape, bool keeps_addresses>
  friend class PackedBatch;
  template <typename Shape, bool keeps_addresses, bool lists_entries>
  friend class SingleChain;

  template <Direction direction>
  [[gnu::always_inline]] bool load_single(std::uint16_t& id, RawDescriptor& read) const noexcept {
    const PackedDescriptor loaded = layout_.table.load(avail_next_.index());
    id = loaded.id();
    read = loaded;
    return is_whole_chain(loaded.tail(), whole_chain<direction>(avail_next_));
  }
  static std::uint32_t entries_of(const ChainList& chains, std::uint32_t begin, std::uint32_t count) noexcept {
    if (chains.all_single) return count;
    const auto* const from = chains.entries.data() + begin;
    return std::accumulate(from, from + count, std::uint32_t{0});
  }
  /// Entries that may be taken: no driver makes more available than a ring has.
  std::uint32_t room() const noexcept { return room_; }
  /// Somebody has looked: so many entries are available, and no more.
  void found_end(std::uint32_t entries) const noexcept {
    ready_ = static_cast<std::uint16_t>(entries);
    ended_ = true;
  }
  void look_again() noexcept {
    ready_ = 0;
    ended_ = false;
  }
  void advance(std::uint32_t entries) noexcept {
    avail_next_ = avail_next_.after(entries, layout_.size);
    room_ -= entries;
    ready_ = static_cast<std::uint16_t>(ready_ - std::min<std::uint32_t>(ready_, entries));
  }

  /// The first used descriptor of the burst shows all of it.
  [[gnu::always_inline]] void show() noexcept {
    RingPosition& position = cursor_.position;
    PackedTable table = layout_.table;
    const std::uint32_t first = PackedPosition{position.used_next}.index();
    position.avail_next = avail_next_.value;
    position.used_next = used_next_.value;
    table.set_used_release(first, first_);
    mark_table(first, 1);
    if (position.notifications && layout_.features.event_idx) want_kick();
  }
  /// Writes a used descriptor, but the first of the burst. With IN_ORDER one stands for all up to it, if nothing
  /// was written into them (2.8.8): then it is the first that gets the id.
  void put(PackedPosition where, std::uint16_t id, std::uint32_t written, std::uint32_t entries) noexcept {
    if (has_first_ && !(merges_ && written == 0)) {
      set_used(where, whole(where, id, written, entries));
      merges_ = false;
      return;
    }
    if (!has_first_) {
      has_first_ = true;
      merges_ = layout_.features.in_order && written == 0;
    }
    first_ =
        merges_ ? PackedTable::used({cursor_.position.used_next}, id, written) : whole(where, id, written, entries);
  }
  /// What a used descriptor says. The chain's other entries are made to look used, which no driver looks at, the last
  /// one first.
  std::uint64_t whole(PackedPosition where, std::uint16_t id, std::uint32_t written, std::uint32_t entries) noexcept {
    while (--entries != 0) {
      const PackedPosition at = where.after(entries, layout_.size);
      set_used(at, PackedTable::used_whole(at, id, 0));
    }
    return PackedTable::used_whole(where, id, written);
  }
  void set_used(PackedPosition where, std::uint64_t element) noexcept {
    PackedTable table = layout_.table;
    table.set_used(where.index(), element);
    mark_table(where.index(), 1);
  }
  template <typename Written>
  [[gnu::always_inline]] void put_run(const std::uint16_t* ids, std::uint32_t count, Written written) noexcept {
    std::uint32_t i = 0;
    if (!std::exchange(has_first_, true)) first_ = PackedTable::used_whole(used_next_, ids[i++], written(0));
    merges_ = false;
    const std::uint32_t index = used_next_.index();
    PackedPosition where = used_next_;
    used_next_ = used_next_.after(count, layout_.size);
    const std::uint8_t* entry = layout_.table.entry(index + i);
    for (std::uint32_t end = std::min(count, layout_.size - index);;) {
      const std::uint64_t flags = PackedTable::used_whole(where, 0, written(0)) & ~std::uint64_t{0xffff'ffff};
#pragma GCC unroll 4
      for (; i < end; ++i, entry += PackedTable::entry_bytes)
        PackedTable::set_used_entry(entry, written(i) | std::uint64_t{ids[i]} << 32 | flags);
      if (end == count) [[likely]]
        break;
      entry = layout_.table.begin();
      end = count;
      where = {static_cast<std::uint16_t>(where.value ^ PackedPosition::wrap_bit)};
    }
    if constexpr (Marks::active) {
      const std::uint32_t straight = std::min(count, layout_.size - index);
      mark_table(index, straight);
      if (straight != count) mark_table(0, count - straight);
    }
  }
  /// Chains of several entries, or that one used descriptor stands for, or that are recorded first.
  template <typename Written>
  [[gnu::noinline]] void put_others(const ChainList& chains, std::uint16_t begin, std::uint16_t count,
                                    Written written) noexcept {
    if (keeps_aside_) {
      for (std::uint32_t i = 0; i < count; ++i)
        give_back({.id = chains.ids[begin + i], .entries = entries_of(chains, begin + i, 1)}, written(i));
      return;
    }
    ledger_.add(-count);
    if (layout_.features.in_order && written(0) == 0 && (merges_ || !has_first_)) {
      put(used_next_, chains.ids[begin + count - 1U], 0, 1);
      used_next_ = used_next_.after(entries_of(chains, begin, count), layout_.size);
      return;
    }
    merges_ = false;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t entries = entries_of(chains, begin + i, 1);
      const std::uint64_t element = whole(used_next_, chains.ids[begin + i], written(i), entries);
      if (std::exchange(has_first_, true)) [[likely]]
        set_used(used_next_, element);
      else
        first_ = element;
      used_next_ = used_next_.after(entries, layout_.size);
    }
  }
  [[gnu::always_inline]] void put_asides() noexcept {
    keeps_aside_ = false;
    if (aside_count_ != 0) [[unlikely]]
      put_all_asides();
  }
  [[gnu::noinline]] void put_all_asides() noexcept {
    const PackedAside* const asides = layout_.asides->data();
    std::uint32_t entries = 0;
    for (std::uint32_t i = 0; i < aside_count_; ++i) entries += asides[i].entries;
    PackedPosition where = used_next_.before(entries, layout_.size);
    for (std::uint32_t i = 0; i < aside_count_; ++i) {
      put(where, asides[i].id, asides[i].written, asides[i].entries);
      where = where.after(asides[i].entries, layout_.size);
    }
    aside_count_ = 0;
  }

  bool is_recorded() const noexcept {
    if constexpr (Marks::active) return marks_.packed_record != nullptr;
    return false;
  }
  void record_take(std::uint16_t id, std::uint32_t entries) noexcept {
    if constexpr (Marks::active)
      if (is_recorded()) marks_.packed_record->take(avail_next_.index(), id, entries);
  }
  /// Returns how many chains are given back.
  std::uint32_t record_burst() noexcept {
    if constexpr (Marks::active)
      if (is_recorded())
        marks_.packed_record->before_used(layout_, avail_next_, layout_.asides->data(), aside_count_, used_next_,
                                          marks_.stored());
    return aside_count_;
  }

  void mark_table(std::uint32_t index, std::uint32_t entries) const noexcept {
    marks_.mark_table({layout_.address.value + index * PackedTable::entry_bytes}, entries * PackedTable::entry_bytes);
  }
  void want_kick() noexcept {
    PackedEvent device = layout_.device;
    device.store(marks_, {avail_next_, PackedEvent::at_place});
  }

  [[no_unique_address]] Marks marks_;
  const PackedLayout& layout_;
  VringCursor& cursor_;
  PackedPosition avail_next_;
  PackedPosition used_next_;
  std::uint32_t room_;
  mutable std::uint16_t ready_ = 0;  // whoever looks at chains finds out how many there are
  mutable bool ended_ = false;       // no more than ready_
  bool keeps_aside_;                 // what is given back may be taken back, or is recorded first
  bool has_first_ = false;
  bool merges_ = false;  // the first may stand for more
  std::uint32_t aside_count_ = 0;
  std::uint64_t first_ = 0;  // the first used descriptor of the burst
  [[no_unique_address]] ChainLedger ledger_;
};

/// As the functions of these names for a split ring.
inline bool is_idle(const PackedLayout& layout, const VringCursor& cursor) noexcept {
  return !layout.is_available({cursor.position.avail_next});
}

/// Entries: at least as many as chains.
inline std::uint16_t pending(const PackedLayout& layout, const VringCursor& cursor) noexcept {
  const PackedPosition next{cursor.position.avail_next};
  const std::uint32_t room = layout.size - next.since({cursor.position.used_next}, layout.size);
  return room == 0 || !layout.is_available(next) ? std::uint16_t{0} : count_available(layout, next, room);
}

inline Watch watch(const PackedLayout& layout, const VringCursor& cursor) noexcept {
  const PackedPosition next{cursor.position.avail_next};
  const volatile std::uint16_t* const word = layout.table.flags_address(next.index());
  const std::uint16_t flags = layout.table.flags_acquire(next.index());
  return {word, next.is_available(flags) ? static_cast<std::uint16_t>(~flags) : flags};  // that it never is
}

template <RingMarks Marks = NoMarks>
bool set_notifications(const PackedLayout& layout, VringCursor& cursor, bool on, Marks marks = {}) noexcept {
  PackedEvent device = layout.device;
  const PackedPosition next{cursor.position.avail_next};
  cursor.position.notifications = on;
  const auto wanted = layout.features.event_idx ? PackedEvent::at_place : PackedEvent::enable;
  device.store(marks, {next, on ? wanted : PackedEvent::disable});
  if (!on) return false;
  full_fence();
  return layout.is_available(next);
}

}  // namespace vhostx::virtqueue
