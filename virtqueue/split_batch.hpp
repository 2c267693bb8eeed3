// SPDX-License-Identifier: BSD-3-Clause
// SplitBatch: finds the next few chains of a split ring in guest memory together, stage by stage, so that each stage
// prefetches what the next one reads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "memory/buffer_translator.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/chain.hpp"
#include "virtqueue/prefetch.hpp"
#include "virtqueue/ring_layout.hpp"
#include "virtqueue/short_chain.hpp"

namespace vhostx::virtqueue {

/// Descriptors are read once, checked and used. A chain that is not simple is left to a ChainWalker, which starts over:
/// nothing that was read here is used then. `keeps_addresses`: where rooms are, in guest addresses.
template <typename Shape, bool keeps_addresses>
class SplitBatch {
 public:
  using Hint = memory::GuestMemory::Hint;

  /// Looks at the next `count` chains, at most batch_max and queue.ready(); takes none. A chain is simple up to
  /// `body_max` bytes. Returns how many heads are in range before the first that is not; only those chains may be used.
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
    const RingLayout& layout = queue.layout_;
    lengths_allowed_ = lengths_up_to(small_max);
    count = queue.copy_heads(chains_.ids.data(), count);
    const std::uint8_t* table = layout.descriptors;
#pragma GCC unroll 4
    for (std::uint16_t i = 0; i < count; ++i) prefetch_line<Direction::readable>(table + id(i) * descriptor_bytes);
    Translator translator(memory, hint);
    const std::uint16_t near = load_near(layout, count, translator);
    all_small_ = near == count;
    lengths_allowed_ = lengths_up_to(body_max);
    one_piece_ = all_small_ || load_far(layout, near, count, translator) == 0;
    if (!one_piece_) [[unlikely]] {
      look_further(layout, near, count, translator);
      load_short_chains(count, translator);
    }
    translator.keep_hint(hint);
    return count;
  }

  /// Whether all chains are simple, with header and body in one piece. Then the template arguments below may be true.
  bool one_piece() const noexcept { return one_piece_; }
  /// Whether that holds and all are within the smaller limit.
  bool all_small() const noexcept { return all_small_; }
  /// A chain is simple if it is a header and a body, each in one piece. The next three are valid only then.
  bool is_simple(std::uint32_t i) const noexcept { return lengths_[i] != 0; }
  const std::uint8_t* header(std::uint32_t i) const noexcept { return headers_[i]; }
  template <bool one_piece>
  const std::uint8_t* body(std::uint32_t i) const noexcept {
    return one_piece ? headers_[i] + Shape::header_bytes : bodies_[i];
  }
  const std::uint8_t* body(std::uint32_t i) const noexcept { return one_piece_ ? body<true>(i) : body<false>(i); }
  /// Bytes after the header, at least Shape::body_min. 0 if not simple.
  std::uint32_t length(std::uint32_t i) const noexcept { return lengths_[i]; }

  /// Room for a header and the first `bytes` of a body: in one piece, or each alone.
  memory::WritableSpan room(std::uint32_t i, std::uint32_t bytes) const noexcept
      requires(Shape::direction == Direction::writable) {
    return {{headers_[i], header_bytes + std::size_t{bytes}}, address(first_addresses_[i])};
  }
  memory::WritableSpan header_room(std::uint32_t i) const noexcept requires(Shape::direction == Direction::writable) {
    return {{headers_[i], header_bytes}, address(first_addresses_[i])};
  }
  memory::WritableSpan body_room(std::uint32_t i, std::uint32_t bytes) const noexcept
      requires(Shape::direction == Direction::writable) {
    return {{bodies_[i], bytes}, address(first_rests_[i])};
  }

  /// Before a long copy of `bytes`: prefetches that much of chain i's body.
  template <bool one_piece>
  void prefetch_body(std::uint32_t i, std::uint32_t bytes) const noexcept {
    if (!one_piece && !is_simple(i)) return;
    prefetch_rest<direction>(body<one_piece>(i), std::min({bytes, lengths_[i], prefetch_rest_max}));
  }

  /// What identifies chain `i`, also one that is not simple: for a fault's report.
  std::uint16_t id(std::size_t i) const noexcept { return chains_.ids[i]; }
  const ChainList& chains() const noexcept { return chains_; }
  /// Copies the first `count` chains, for a queue that gives them back later.
  void copy_chains(std::uint16_t count, ChainList& to) const noexcept {
    std::copy_n(chains_.ids.begin(), count, to.ids.begin());
  }
  /// Chain `i` if it is simple. In a batch that is not all one piece each counts as two entries: too many, never too
  /// few.
  Chain simple_chain(std::uint32_t i) const noexcept { return {.id = id(i), .entries = one_piece_ ? 1U : 2U}; }

 private:
  static constexpr Direction direction = Shape::direction;
  static constexpr std::uint16_t header_bytes = Shape::header_bytes;
  static constexpr std::uint32_t body_min = Shape::body_min;
  /// How many lengths, from body_min on, are simple.
  static constexpr std::uint32_t lengths_up_to(std::uint32_t body_max) noexcept {
    body_max = std::min(body_max, Shape::body_max);
    return body_max < body_min ? 0 : body_max - body_min + 1;
  }
  using Translator = memory::BufferTranslator<header_bytes + Shape::body_max>;
  static constexpr std::size_t descriptor_bytes = sizeof(Descriptor);

  /// Finds chains of one descriptor in the region of the burst before. Stops at the first other chain and returns its
  /// number.
  [[gnu::always_inline]] std::uint16_t load_near(const RingLayout& layout, std::uint16_t count,
                                                 const Translator& translator) noexcept {
    const std::uint8_t* table = layout.descriptors;
    const std::uint32_t lengths_allowed = lengths_allowed_;
    std::uint16_t i = 0;
    for (; i < count; ++i) {
      const RawDescriptor descriptor = load_descriptor(table + id(i) * descriptor_bytes);
      const std::uint32_t length = descriptor.length() - header_bytes;
      // Both limits in one comparison: a length that is too short wraps to a huge number.
      if (!is_last<direction>(descriptor) || length - body_min >= lengths_allowed ||
          !translator.translate_near({descriptor.address}, headers_[i])) [[unlikely]]
        break;
      lengths_[i] = length;
      keep_addresses(i, descriptor.address, descriptor.address + header_bytes);
      prefetch_head<Shape>(headers_[i]);
    }
    return i;
  }

  /// From chain `begin` on, finds chains of one descriptor in any region. Returns how many others there are, and keeps
  /// their first descriptors. Out of line, so that the loop has the registers to itself.
  [[gnu::noinline]] std::uint16_t load_far(const RingLayout& layout, std::size_t begin, std::size_t count,
                                           Translator& translator) noexcept {
    const std::uint8_t* const table = layout.descriptors;
    const std::uint32_t lengths_allowed = lengths_allowed_;
    typename Translator::Far far(translator);
    std::uint16_t others = 0;
    for (std::size_t i = begin; i < count; ++i) {
      const RawDescriptor descriptor = load_descriptor(table + id(i) * descriptor_bytes);
      const std::uint32_t length = descriptor.length() - header_bytes;
      const std::uint8_t* found = nullptr;
      if (!is_last<direction>(descriptor) || length - body_min >= lengths_allowed ||
          !far.translate({descriptor.address}, descriptor.length(), found)) [[unlikely]] {
        first_addresses_[i] = descriptor.address;
        first_rests_[i] = descriptor.rest;
        lengths_[i] = 0;
        ++others;
        continue;
      }
      headers_[i] = found;
      lengths_[i] = length;
      keep_addresses(i, descriptor.address, descriptor.address + header_bytes);
      prefetch_head<Shape>(found);
    }
    return others;
  }

  void keep_addresses(std::size_t i, std::uint64_t header, std::uint64_t body) noexcept {
    if constexpr (keeps_addresses && direction == Direction::writable) {
      first_addresses_[i] = header;
      first_rests_[i] = body;
    }
  }
  static memory::GuestAddress address(const std::uint64_t& kept) noexcept {
    if constexpr (keeps_addresses) return {kept};
    return {};
  }

  RawDescriptor first(std::size_t i) const noexcept { return {first_addresses_[i], first_rests_[i]}; }

  /// Finds the indirect table or the second descriptor of each chain that may be short; null for all others.
  void look_further(const RingLayout& layout, std::uint16_t begin, std::uint16_t count,
                    Translator& translator) noexcept {
    for (std::uint16_t i = begin; i < count; ++i) {
      if (is_simple(i)) continue;
      const std::uint8_t* found = nullptr;
      const RawDescriptor descriptor = first(i);
      const std::uint32_t entries = short_table_size(descriptor);
      if (entries != 0 && entries <= layout.size && layout.features.indirect) {
        if (!translator.translate({descriptor.address}, descriptor.length(), found)) found = nullptr;
      } else if (is_followed<direction>(descriptor) && descriptor.next() < layout.size && layout.size > 1) {
        found = layout.descriptors + descriptor.next() * descriptor_bytes;
      }
      bodies_[i] = found;
      prefetch_line<Direction::readable>(found);
    }
  }

  /// Chains with header and body in two descriptors, or in an indirect table. Out of line: a common batch has none.
  [[gnu::noinline]] void load_short_chains(std::uint16_t count, Translator& translator) noexcept {
    for (std::uint16_t i = 0; i < count; ++i) {
      if (is_simple(i)) {
        bodies_[i] = headers_[i] + header_bytes;
      } else if (const std::uint8_t* const further = bodies_[i]; further != nullptr) {
        const std::uint32_t entries = short_table_size(first(i));
        const RawDescriptor head = entries == 0 ? first(i) : load_descriptor(further);
        if (entries != 0 && is_last<direction>(head))
          take_one(i, head, translator);
        else if (entries == 0)
          take_two(i, head, load_descriptor(further), translator);
        else if (is_followed<direction>(head) && head.next() < entries)
          take_two(i, head, load_descriptor(further + head.next() * descriptor_bytes), translator);
      }
    }
  }

  void take_one(std::uint16_t i, const RawDescriptor& whole, Translator& translator) noexcept {
    const std::uint32_t length = whole.length() - header_bytes;
    if (length - body_min >= lengths_allowed_ || !translator.translate({whole.address}, whole.length(), headers_[i]))
      return;
    bodies_[i] = headers_[i] + header_bytes;
    lengths_[i] = length;
    keep_addresses(i, whole.address, whole.address + header_bytes);
    prefetch_head<Shape>(headers_[i]);
  }

  void take_two(std::uint16_t i, const RawDescriptor& header, const RawDescriptor& body,
                Translator& translator) noexcept {
    if (header.length() != header_bytes || !is_last<direction>(body) || body.length() - body_min >= lengths_allowed_ ||
        !translator.translate({header.address}, header_bytes, headers_[i]) ||
        !translator.translate({body.address}, body.length(), bodies_[i]))
      return;
    lengths_[i] = body.length();
    keep_addresses(i, header.address, body.address);
    prefetch_line<direction>(headers_[i]);
    prefetch_line<direction>(bodies_[i]);
  }

  ChainList chains_;
  // First descriptors of chains that load_far() did not find simple, as two arrays of words. Of simple ones: the guest
  // addresses of header and body.
  std::array<std::uint64_t, batch_max> first_addresses_;
  std::array<std::uint64_t, batch_max> first_rests_;
  std::array<const std::uint8_t*, batch_max> headers_;
  std::array<const std::uint8_t*, batch_max> bodies_;  // unless one_piece_; before load_short_chains(): what it reads
  std::array<std::uint32_t, batch_max> lengths_;
  std::uint32_t lengths_allowed_ = 0;  // number of lengths, from body_min on, that are simple
  bool one_piece_ = true;
  bool all_small_ = true;
};

}  // namespace vhostx::virtqueue
