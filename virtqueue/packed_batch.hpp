// SPDX-License-Identifier: BSD-3-Clause
// PackedBatch: finds the next few chains of a packed ring in guest memory together; see SplitBatch.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "memory/buffer_translator.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/packed_scan.hpp"
#include "virtqueue/prefetch.hpp"
#include "virtqueue/walk_budget.hpp"

namespace vhostx::virtqueue {

/// Descriptors are read once, checked and used. A chain that is not simple is left to a ChainWalker, which starts over:
/// nothing that was read here is used then, but its id and length. `keeps_addresses`: where rooms are, in guest
/// addresses.
template <typename Shape, bool keeps_addresses>
class PackedBatch {
 public:
  using Hint = memory::GuestMemory::Hint;

  /// Looks at the next `count` chains, at most batch_max and queue.ready(); takes none. A chain is simple up to
  /// `body_max` bytes. Returns how many there are: fewer where chains have several entries.
  template <typename Queue>
  [[gnu::always_inline]] std::uint16_t load(const Queue& queue, const memory::GuestMemory& memory, std::uint16_t count,
                                            std::uint32_t body_max, Hint& hint) noexcept {
    return load(queue, memory, count, body_max, body_max, hint);
  }

  /// The same with a second limit: all_small() is true if all bodies have at most `small_max` bytes and are in the
  /// region of the burst before.
  template <typename Queue>
  [[gnu::always_inline]] std::uint16_t load(const Queue& queue, const memory::GuestMemory& memory, std::uint16_t count,
                                            std::uint32_t small_max, std::uint32_t body_max, Hint& hint) noexcept {
    const PackedLayout& layout = queue.layout_;
    lengths_allowed_ = lengths_up_to(small_max);
    Translator translator(memory, hint);
    const std::uint16_t near = load_near(layout, queue.avail_next_, count, translator);
    one_piece_ = all_small_ = chains_.all_single = near == count;
    if (!all_small_) {
      lengths_allowed_ = lengths_up_to(body_max);
      const Found found = load_others(layout, queue.avail_next_, near, count, queue.room(), translator);
      if (found.chains != count && !found.has_more) queue.found_end(found.entries);
      count = found.chains;
    }
    translator.keep_hint(hint);
    return count;
  }

  bool one_piece() const noexcept { return one_piece_; }
  bool all_small() const noexcept { return all_small_; }
  /// A chain is simple if it is a header and a body, each in one piece. The next three are valid only then.
  bool is_simple(std::uint32_t i) const noexcept { return lengths_[i] != 0; }
  const std::uint8_t* header(std::uint32_t i) const noexcept { return headers_[i]; }
  template <bool one_piece>
  const std::uint8_t* body(std::uint32_t i) const noexcept {
    return one_piece ? headers_[i] + Shape::header_bytes : bodies_[i];
  }
  const std::uint8_t* body(std::uint32_t i) const noexcept { return one_piece_ ? body<true>(i) : body<false>(i); }
  std::uint32_t length(std::uint32_t i) const noexcept { return lengths_[i]; }

  memory::WritableSpan room(std::uint32_t i, std::uint32_t bytes) const noexcept
      requires(Shape::direction == Direction::writable) {
    return {{headers_[i], header_bytes + std::size_t{bytes}}, address(header_addresses_[i])};
  }
  memory::WritableSpan header_room(std::uint32_t i) const noexcept requires(Shape::direction == Direction::writable) {
    return {{headers_[i], header_bytes}, address(header_addresses_[i])};
  }
  memory::WritableSpan body_room(std::uint32_t i, std::uint32_t bytes) const noexcept
      requires(Shape::direction == Direction::writable) {
    return {{bodies_[i], bytes}, address(body_addresses_[i])};
  }

  template <bool one_piece>
  void prefetch_body(std::uint32_t i, std::uint32_t bytes) const noexcept {
    if (!one_piece && !is_simple(i)) return;
    prefetch_rest<direction>(body<one_piece>(i), std::min({bytes, lengths_[i], prefetch_rest_max}));
  }

  std::uint16_t id(std::size_t i) const noexcept { return chains_.ids[i]; }
  const ChainList& chains() const noexcept { return chains_; }
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
  static constexpr Direction direction = Shape::direction;
  static constexpr std::uint16_t header_bytes = Shape::header_bytes;
  static constexpr std::uint32_t body_min = Shape::body_min;
  static constexpr std::uint32_t lengths_up_to(std::uint32_t body_max) noexcept {
    body_max = std::min(body_max, Shape::body_max);
    return body_max < body_min ? 0 : body_max - body_min + 1;
  }
  using Translator = memory::BufferTranslator<header_bytes + Shape::body_max>;

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
      entry = layout.table.entry(0);
      at = {static_cast<std::uint16_t>(at.value ^ PackedPosition::wrap_bit)};
    }
  }

  /// From chain `near` on, any chains; the first `near` are known. `room`: most entries that there can be. Out of line,
  /// so that the loop above has the registers to itself.
  [[gnu::noinline]] Found load_others(const PackedLayout& layout, PackedPosition at, std::uint16_t near,
                                      std::uint16_t count, std::uint32_t room, Translator& translator) noexcept {
    std::fill_n(chains_.entries.begin(), near, std::uint16_t{1});
    std::uint32_t entries = near;
    std::uint16_t i = near;
    at = at.after(near, layout.size);
    bool one_piece = true;
    bool all_single = true;
    bool has_more = true;
    {
      typename Translator::Far far(translator);
      for (; i < count && entries < room && (i == near || entries < entries_looked_at); ++i) {
        const PackedDescriptor first = layout.table.load(at.index());
        if (!at.is_available(first.flags())) {
          has_more = false;
          break;
        }
        const auto end = layout.find_end(at.index(), first, room - entries);
        chains_.ids[i] = end.id;
        chains_.entries[i] = static_cast<std::uint16_t>(end.entries);
        one_piece &= look(layout, at, i, first, end.entries, far);
        all_single &= end.entries == 1;
        entries += end.entries;
        at = at.after(end.entries, layout.size);
        if (end.entries == 0) {  // longer than can be: whoever takes it finds the fault
          ++entries;
          ++i;
          has_more = false;
          break;
        }
      }
      has_more &= entries < room;
    }
    one_piece_ = one_piece;
    chains_.all_single = all_single;
    if (!one_piece) load_short_chains(layout, i, translator);
    return {i, entries, has_more};
  }

  /// Finds a chain of one descriptor. For all others, keeps the first descriptor and where a short chain goes on: its
  /// indirect table or its second descriptor; null where it is not short. Returns whether it was the former.
  template <typename Far>
  [[gnu::always_inline]] bool look(const PackedLayout& layout, PackedPosition at, std::uint32_t i,
                                   const PackedDescriptor& first, std::uint32_t entries, Far& far) noexcept {
    const std::uint32_t length = first.length() - header_bytes;
    if (entries == 1 && is_buffer<direction>(first) && length - body_min < lengths_allowed_ &&
        far.translate({first.address}, first.length(), headers_[i])) {
      lengths_[i] = length;
      bodies_[i] = headers_[i] + header_bytes;
      keep_addresses(i, first.address, first.address + header_bytes);
      prefetch_head<Shape>(headers_[i]);
      return true;
    }
    header_addresses_[i] = first.address;
    body_addresses_[i] = first.rest;
    lengths_[i] = 0;
    const std::uint8_t* found = nullptr;
    if (const std::uint32_t table = entries == 1 ? short_table(layout, first) : 0; table != 0) {
      if (!far.translate({first.address}, first.length(), found)) found = nullptr;
    } else if (entries == 2 && is_buffer<direction>(first)) {
      found = layout.table.begin() + at.after(1, layout.size).index() * PackedTable::entry_bytes;
    }
    bodies_[i] = found;
    prefetch_line<Direction::readable>(found);
    return false;
  }

  /// How many descriptors an indirect table has, if it is short (one or two). Else 0.
  static std::uint32_t short_table(const PackedLayout& layout, const PackedDescriptor& first) noexcept {
    if ((first.flags() & Descriptor::indirect_flag) == 0 || !layout.features.indirect) return 0;
    const std::uint32_t length = first.length();
    if (length == PackedTable::entry_bytes) return 1;
    return length == 2 * PackedTable::entry_bytes && layout.size > 1 ? 2 : 0;
  }

  /// Chains with header and body in two descriptors, or in an indirect table.
  void load_short_chains(const PackedLayout& layout, std::uint32_t count, Translator& translator) noexcept {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (is_simple(i)) {
        bodies_[i] = headers_[i] + header_bytes;
      } else if (const std::uint8_t* const further = bodies_[i]; further != nullptr) {
        const PackedDescriptor first{{header_addresses_[i], body_addresses_[i]}};
        const std::uint32_t table = chains_.entries[i] == 1 ? short_table(layout, first) : 0;
        const PackedDescriptor head = table == 0 ? first : PackedDescriptor{load_descriptor(further)};
        if (table == 1)
          take_one(i, head, translator);
        else
          take_two(i, head, {load_descriptor(further + (table == 0 ? 0 : PackedTable::entry_bytes))}, translator);
      }
    }
  }

  void take_one(std::uint32_t i, const PackedDescriptor& whole, Translator& translator) noexcept {
    const std::uint32_t length = whole.length() - header_bytes;
    if (!is_buffer<direction>(whole) || length - body_min >= lengths_allowed_ ||
        !translator.translate({whole.address}, whole.length(), headers_[i]))
      return;
    bodies_[i] = headers_[i] + header_bytes;
    lengths_[i] = length;
    keep_addresses(i, whole.address, whole.address + header_bytes);
    prefetch_head<Shape>(headers_[i]);
  }

  void take_two(std::uint32_t i, const PackedDescriptor& header, const PackedDescriptor& body,
                Translator& translator) noexcept {
    if (!is_buffer<direction>(header) || header.length() != header_bytes || !is_buffer<direction>(body) ||
        body.length() - body_min >= lengths_allowed_ ||
        !translator.translate({header.address}, header_bytes, headers_[i]) ||
        !translator.translate({body.address}, body.length(), bodies_[i]))
      return;
    lengths_[i] = body.length();
    keep_addresses(i, header.address, body.address);
    prefetch_line<direction>(headers_[i]);
    prefetch_line<direction>(bodies_[i]);
  }

  void keep_addresses(std::size_t i, std::uint64_t header, std::uint64_t body) noexcept {
    if constexpr (keeps_addresses && direction == Direction::writable) {
      header_addresses_[i] = header;
      body_addresses_[i] = body;
    }
  }
  static memory::GuestAddress address(const std::uint64_t& kept) noexcept {
    if constexpr (keeps_addresses) return {kept};
    return {};
  }

  ChainList chains_;
  // Of chains that are not one descriptor: the words of their first one, until load_short_chains() has looked at them.
  // Of simple ones: the guest addresses of header and body.
  std::array<std::uint64_t, batch_max> header_addresses_;
  std::array<std::uint64_t, batch_max> body_addresses_;
  std::array<const std::uint8_t*, batch_max> headers_;
  std::array<const std::uint8_t*, batch_max> bodies_;  // unless one_piece_; before load_short_chains(): what it reads
  std::array<std::uint32_t, batch_max> lengths_;
  std::uint32_t lengths_allowed_ = 0;  // number of lengths, from body_min on, that are simple
  bool one_piece_ = true;
  bool all_small_ = true;
};

}  // namespace vhostx::virtqueue
