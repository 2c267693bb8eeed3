// SPDX-License-Identifier: BSD-3-Clause
// PackedBatch: finds the next few chains of a packed ring in guest memory together; see SplitBatch.
#pragma once

#include "virtqueue/chain_batch.hpp"
#include "virtqueue/packed_scan.hpp"
#include "virtqueue/walk_budget.hpp"

namespace vhostx::virtqueue {

template <typename Shape, bool keeps_addresses>
class PackedBatch : public ChainBatch<Shape, keeps_addresses> {
  using Base = ChainBatch<Shape, keeps_addresses>;
  using Base::chains_, Base::headers_, Base::bodies_, Base::lengths_, Base::lengths_allowed_, Base::one_piece_;
  using Base::direction, Base::header_bytes, Base::body_min, Base::allow, Base::keep_addresses;
  using typename Base::Hint, typename Base::Translator;

 public:
  /// Looks at the next `count` chains, at most batch_max and queue.ready(); takes none. A chain is simple up to
  /// `body_max` bytes. Returns how many there are: fewer where chains have several entries.
  template <typename Queue>
  [[gnu::always_inline]] std::uint16_t load(const Queue& queue, const memory::GuestMemory& memory, std::uint16_t count,
                                            std::uint32_t body_max, Hint& hint) noexcept {
    return load(queue, memory, count, body_max, body_max, hint);
  }

  /// The same with a second limit, as SplitBatch has it.
  template <typename Queue>
  [[gnu::always_inline]] std::uint16_t load(const Queue& queue, const memory::GuestMemory& memory, std::uint16_t count,
                                            std::uint32_t small_max, std::uint32_t body_max, Hint& hint) noexcept {
    const PackedLayout& layout = queue.layout_;
    allow(small_max);
    Translator translator(memory, hint);
    const std::uint16_t near = load_near(layout, queue.avail_next_, count, translator);
    one_piece_ = this->all_small_ = chains_.all_single = near == count;
    if (!one_piece_) {
      allow(body_max);
      const Found found = load_others(layout, queue.avail_next_, near, count, queue.room(), translator);
      if (found.chains != count && !found.has_more) queue.found_end(found.entries);
      count = found.chains;
    }
    translator.keep_hint(hint);
    return count;
  }

  using Base::id, Base::is_simple;
  void copy_chains(std::uint16_t count, ChainList& to) const noexcept {
    std::copy_n(chains_.ids.begin(), count, to.ids.begin());
    to.all_single = chains_.all_single;
    if (!chains_.all_single) std::copy_n(chains_.entries.begin(), count, to.entries.begin());
  }
  /// Chain `i` if it is simple, to be kept and given back.
  Chain simple_chain(std::uint32_t i) const noexcept {
    return {.id = id(i), .entries = chains_.all_single ? std::uint16_t{1} : chains_.entries[i]};
  }

 private:
  struct Found {
    std::uint16_t chains;
    std::uint32_t entries;
    bool has_more;  // it stopped before the last
  };
  /// Entries after which it looks at no further chain: who takes one packet at a time comes back for each of a batch,
  /// and all of them together are to look at no more than a call may.
  static constexpr std::uint32_t entries_looked_at = walk_descriptors_max / batch_max;

  /// Finds chains of one descriptor in the region of the burst before, in a loop for each side of the ring's end. Stops
  /// at the first other chain, or where there is none, and returns its number.
  [[gnu::always_inline]] std::uint16_t load_near(const PackedLayout& layout, PackedPosition at, std::uint16_t count,
                                                 const Translator& translator) noexcept {
    const std::uint32_t lengths_allowed = lengths_allowed_;
    const std::uint8_t* entry = layout.table.entry(at.index());
    std::size_t i = 0;
    for (std::size_t end = std::min<std::size_t>(count, layout.size - at.index());;) {
      const std::uint32_t flags = whole_chain<direction>(at);
#pragma GCC unroll 2
      for (; i < end; ++i, entry += PackedTable::entry_bytes) {
        const PackedDescriptor descriptor = PackedTable::load_entry(entry);
        const std::uint32_t length = descriptor.length() - header_bytes;
        const std::uint32_t tail = descriptor.tail();
        chains_.ids[i] = static_cast<std::uint16_t>(tail);
        // Both limits in one comparison: a length that is too short wraps to a huge number.
        if (!is_whole_chain(tail, flags) || length - body_min >= lengths_allowed ||
            !translator.translate_near({descriptor.address}, headers_[i])) [[unlikely]]
          return static_cast<std::uint16_t>(i);
        lengths_[i] = length;
        keep_addresses(i, descriptor.address, descriptor.address + header_bytes);
        prefetch_head<Shape>(headers_[i]);
      }
      if (end == count) [[likely]]
        return count;
      end = count;
      entry = layout.table.begin();
      at = {static_cast<std::uint16_t>(at.value ^ PackedPosition::wrap_bit)};
    }
  }

  /// From chain `near` on, any chains; the first `near` are known. `room`: most entries that there can be. Out of line,
  /// so that the loop above has the registers to itself.
  [[gnu::noinline]] Found load_others(const PackedLayout& layout, PackedPosition at, std::uint16_t near,
                                      std::uint16_t count, std::uint32_t room, Translator& translator) noexcept {
    std::uint32_t entries = near;
    std::uint16_t i = near;
    at = at.after(near, layout.size);
    bool one_piece = true;
    bool all_single = true;
    bool has_tables = false;
    bool has_more = true;
    {
      typename Translator::Far far(translator);
      for (; i < count && entries < room && (i == near || entries < entries_looked_at); ++i) {
        const PackedDescriptor first = layout.table.load(at.index());
        if (!at.is_available(first.flags())) {
          has_more = false;
          break;
        }
        lengths_[i] = 0;
        bodies_[i] = nullptr;
        std::uint32_t taken = 1;
        if ((first.flags() & Descriptor::next_flag) == 0) [[likely]] {
          chains_.ids[i] = first.id();
          if (is_buffer<direction>(first))
            this->take_one(i, first, far);
          else
            has_tables |= look_at_table(layout, i, first, far);
        } else {
          taken = take_linked(layout, at, i, first, room - entries, far);
          all_single = false;
        }
        one_piece &= taken == 1 && is_simple(i);
        chains_.entries[i] = static_cast<std::uint16_t>(taken);
        entries += taken;
        if (taken == 0) {  // longer than can be: whoever takes it finds the fault
          ++entries;
          ++i;
          has_more = false;
          break;
        }
        at = at.after(taken, layout.size);
      }
      has_more &= entries < room;
    }
    one_piece_ = one_piece;
    chains_.all_single = all_single;
    if (!all_single) std::fill_n(chains_.entries.begin(), near, std::uint16_t{1});
    if (!one_piece)
      for (std::uint16_t known = 0; known < near; ++known) bodies_[known] = headers_[known] + header_bytes;
    if (has_tables) load_tables(near, i, translator);
    return {i, entries, has_more};
  }

  /// A chain of several descriptors, which is simple if it has two. Returns how many; 0: more than `most`.
  std::uint32_t take_linked(const PackedLayout& layout, PackedPosition at, std::uint32_t i,
                            const PackedDescriptor& first, std::uint32_t most, auto& far) noexcept {
    if (most > 1) {
      const PackedDescriptor second = layout.table.load(at.after(1, layout.size).index());
      chains_.ids[i] = second.id();
      if ((second.flags() & Descriptor::next_flag) == 0) {
        if (is_buffer<direction>(first) && is_buffer<direction>(second)) this->take_two(i, first, second, far);
        return 2;
      }
    }
    const auto end = layout.find_end(at.index(), first, most);
    chains_.ids[i] = end.id;
    return end.entries;
  }

  /// Finds and keeps the table of an indirect descriptor, if it is short; null for all others.
  bool look_at_table(const PackedLayout& layout, std::uint32_t i, const PackedDescriptor& first, auto& far) noexcept {
    const std::uint8_t* found = nullptr;
    if ((first.flags() & Descriptor::indirect_flag) != 0 && layout.features.indirect &&
        (first.length() == PackedTable::entry_bytes ||
         (first.length() == 2 * PackedTable::entry_bytes && layout.size > 1)) &&
        !far.translate({first.address}, first.length(), found))
      found = nullptr;
    bodies_[i] = found;
    this->set_aside(i, first);
    prefetch_line<Direction::readable>(found);
    return found != nullptr;
  }

  void load_tables(std::uint16_t begin, std::uint16_t end, Translator& translator) noexcept {
    for (std::uint16_t i = begin; i < end; ++i) {
      const std::uint8_t* const table = bodies_[i];
      if (is_simple(i) || table == nullptr) continue;
      const PackedDescriptor head{load_descriptor(table)};
      if (!is_table_buffer<direction>(head)) continue;
      if (this->first(i).length() == PackedTable::entry_bytes) {
        this->take_one(i, head, translator);
      } else if (const PackedDescriptor body{load_descriptor(table + PackedTable::entry_bytes)};
                 is_table_buffer<direction>(body)) {
        this->take_two(i, head, body, translator);
      }
    }
  }
};

}  // namespace vhostx::virtqueue
