// SPDX-License-Identifier: BSD-3-Clause
// SplitBatch: finds the next few chains of a split ring in guest memory together, stage by stage, so that each stage
// prefetches what the next one reads.
#pragma once

#include "virtqueue/chain_batch.hpp"
#include "virtqueue/ring_layout.hpp"
#include "virtqueue/short_chain.hpp"

namespace vhostx::virtqueue {

template <typename Shape, bool keeps_addresses>
class SplitBatch : public ChainBatch<Shape, keeps_addresses> {
  using Base = ChainBatch<Shape, keeps_addresses>;
  using Base::chains_, Base::headers_, Base::bodies_, Base::lengths_, Base::lengths_allowed_, Base::one_piece_;
  using Base::direction, Base::header_bytes, Base::body_min, Base::allow, Base::set_aside, Base::keep_addresses;
  using typename Base::Hint, typename Base::Translator;

 public:
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
    allow(small_max);
    count = queue.copy_heads(chains_.ids.data(), count);
    const std::uint8_t* table = layout.descriptors;
#pragma GCC unroll 4
    for (std::uint16_t i = 0; i < count; ++i) prefetch_line<Direction::readable>(table + id(i) * descriptor_bytes);
    Translator translator(memory, hint);
    const std::uint16_t near = load_near(layout, count, translator);
    this->all_small_ = near == count;
    allow(body_max);
    one_piece_ = this->all_small_ || load_far(layout, near, count, translator) == 0;
    if (!one_piece_) [[unlikely]] {
      look_further(layout, near, count, translator);
      load_short_chains(count, translator);
    }
    translator.keep_hint(hint);
    return count;
  }

  using Base::id, Base::is_simple;
  /// Copies the first `count` chains, for a queue that gives them back later.
  void copy_chains(std::uint16_t count, ChainList& to) const noexcept {
    std::copy_n(chains_.ids.begin(), count, to.ids.begin());
  }
  /// Chain `i` if it is simple. In a batch that is not all one piece each counts as two entries: too many, never too
  /// few.
  Chain simple_chain(std::uint32_t i) const noexcept { return {.id = id(i), .entries = one_piece_ ? 1U : 2U}; }

 private:
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
        set_aside(i, descriptor);
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

  /// Finds the indirect table or the second descriptor of each chain that may be short; null for all others.
  void look_further(const RingLayout& layout, std::uint16_t begin, std::uint16_t count,
                    Translator& translator) noexcept {
    for (std::uint16_t i = begin; i < count; ++i) {
      if (is_simple(i)) continue;
      const std::uint8_t* found = nullptr;
      const RawDescriptor descriptor = this->first(i);
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
        const std::uint32_t entries = short_table_size(this->first(i));
        const RawDescriptor head = entries == 0 ? this->first(i) : load_descriptor(further);
        if (entries != 0 && is_last<direction>(head))
          this->take_one(i, head, translator);
        else if (entries == 0)
          take_pair(i, head, load_descriptor(further), translator);
        else if (is_followed<direction>(head) && head.next() < entries)
          take_pair(i, head, load_descriptor(further + head.next() * descriptor_bytes), translator);
      }
    }
  }
  void take_pair(std::uint16_t i, const RawDescriptor& header, const RawDescriptor& body,
                 Translator& translator) noexcept {
    if (is_last<direction>(body)) this->take_two(i, header, body, translator);
  }
};

}  // namespace vhostx::virtqueue
