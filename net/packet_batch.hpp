// SPDX-License-Identifier: BSD-3-Clause
// PacketBatch: finds the next few packets of a ring in guest memory together, stage by stage, so that each stage
// prefetches what the next one reads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <rte_prefetch.h>

#include "memory/buffer_translator.hpp"
#include "net/prefetch.hpp"
#include "net/ring_context.hpp"
#include "net/virtio_net_header.hpp"
#include "virtqueue/short_chain.hpp"

namespace vhostx::net {

/// Descriptors are read once, checked and used. A chain that is not simple is left to a ChainWalker, which starts over:
/// nothing that was read here is used then.
template <virtqueue::Direction direction, std::uint16_t net_header_bytes>
class PacketBatch {
 public:
  using Hint = memory::GuestMemory::Hint;

  /// Looks at the next `count` chains, at most batch_max and queue.ready(). A readable chain is simple up to
  /// `payload_max` bytes. Returns how many heads are in range before the first that is not; only those chains may be
  /// used.
  [[gnu::always_inline]] std::uint16_t load(const virtqueue::SplitQueue& queue, const RingContext& context,
                                            std::uint16_t count, std::uint32_t payload_max, Hint& hint) noexcept {
    return load(queue, context, count, payload_max, payload_max, hint);
  }

  /// The same with a second limit: all_small() is true if all packets have at most `small_max` bytes and are in the
  /// region of the burst before.
  [[gnu::always_inline]] std::uint16_t load(const virtqueue::SplitQueue& queue, const RingContext& context,
                                            std::uint16_t count, std::uint32_t small_max, std::uint32_t payload_max,
                                            Hint& hint) noexcept {
    lengths_allowed_ = lengths_up_to(small_max);
    count = queue.copy_heads(heads_.data(), count);
    const std::uint8_t* table = context.layout.descriptors;
#pragma GCC unroll 4
    for (std::uint16_t i = 0; i < count; ++i) rte_prefetch0(table + heads_[i] * descriptor_bytes);
    Translator translator(context.memory, hint);
    const std::uint16_t near = load_near(context.layout, count, translator);
    all_small_ = near == count;
    lengths_allowed_ = lengths_up_to(payload_max);
    one_piece_ = all_small_ || load_far(context.layout, near, count, translator) == 0;
    if (!one_piece_) [[unlikely]] {
      look_further(context.layout, near, count, translator);
      load_short_chains(count, translator);
    }
    translator.keep_hint(hint);
    return count;
  }

  /// Whether all chains are simple, with header and packet in one piece. Then the template arguments below may be true.
  bool one_piece() const noexcept { return one_piece_; }
  /// Whether that holds and all are within the smaller limit.
  bool all_small() const noexcept { return all_small_; }
  /// A chain is simple if it is a net header and a packet, or room for one, each in one piece. The next three are valid
  /// only then.
  bool is_simple(std::uint32_t i) const noexcept { return lengths_[i] != 0; }
  std::uint8_t* header(std::uint32_t i) const noexcept { return headers_[i]; }
  template <bool one_piece>
  std::uint8_t* payload(std::uint32_t i) const noexcept {
    return one_piece ? headers_[i] + net_header_bytes : payloads_[i];
  }
  /// Bytes after the net header; in a packet from a guest at least an Ethernet header. 0 if not simple.
  std::uint32_t length(std::uint32_t i) const noexcept { return lengths_[i]; }

  /// Before a long copy of `bytes`: prefetches that much of chain i's payload.
  template <bool one_piece>
  void prefetch_payload(std::uint32_t i, std::uint32_t bytes) const noexcept {
    if (!one_piece && !is_simple(i)) return;
    prefetch_rest<direction>(payload<one_piece>(i), std::min({bytes, lengths_[i], prefetch_rest_max}));
  }

  std::uint16_t head(std::uint32_t i) const noexcept { return heads_[i]; }
  const std::uint16_t* heads() const noexcept { return heads_.data(); }

 private:
  static constexpr bool readable = direction == virtqueue::Direction::readable;
  static constexpr std::uint32_t payload_min = readable ? ethernet_header_bytes : 1;
  /// How many payload lengths, from payload_min on, are simple.
  static constexpr std::uint32_t lengths_up_to(std::uint32_t payload_max) noexcept {
    payload_max = readable ? std::min(payload_max, packet_bytes_max) : packet_bytes_max;
    return payload_max < payload_min ? 0 : payload_max - payload_min + 1;
  }
  using Translator = memory::BufferTranslator<net_header_bytes + packet_bytes_max>;
  using RawDescriptor = virtqueue::RawDescriptor;
  static constexpr std::size_t descriptor_bytes = sizeof(virtqueue::Descriptor);

  /// Finds chains of one descriptor in the region of the burst before. Stops at the first other chain and returns its
  /// number.
  [[gnu::always_inline]] std::uint16_t load_near(const virtqueue::RingLayout& layout, std::uint16_t count,
                                                 const Translator& translator) noexcept {
    const std::uint8_t* table = layout.descriptors;
    const std::uint32_t lengths_allowed = lengths_allowed_;
    std::uint16_t i = 0;
    for (; i < count; ++i) {
      const RawDescriptor descriptor = virtqueue::load_descriptor(table + heads_[i] * descriptor_bytes);
      const std::uint32_t payload_bytes = descriptor.length() - net_header_bytes;
      // Both limits in one comparison: a length that is too short wraps to a huge number.
      if (!virtqueue::is_last<direction>(descriptor) || payload_bytes - payload_min >= lengths_allowed ||
          !translator.translate_near({descriptor.address}, headers_[i])) [[unlikely]]
        break;
      lengths_[i] = payload_bytes;
      prefetch_head<direction, net_header_bytes>(headers_[i]);
    }
    return i;
  }

  /// From chain `begin` on, finds chains of one descriptor in any region. Returns how many others there are, and keeps
  /// their first descriptors. Out of line, so that the loop has the registers to itself.
  [[gnu::noinline]] std::uint16_t load_far(const virtqueue::RingLayout& layout, std::size_t begin, std::size_t count,
                                           Translator& translator) noexcept {
    const std::uint8_t* const table = layout.descriptors;
    const std::uint32_t lengths_allowed = lengths_allowed_;
    typename Translator::Far far(translator);
    std::uint16_t others = 0;
    for (std::size_t i = begin; i < count; ++i) {
      const RawDescriptor descriptor = virtqueue::load_descriptor(table + heads_[i] * descriptor_bytes);
      const std::uint32_t payload_bytes = descriptor.length() - net_header_bytes;
      std::uint8_t* found = nullptr;
      if (!virtqueue::is_last<direction>(descriptor) || payload_bytes - payload_min >= lengths_allowed ||
          !far.translate({descriptor.address}, descriptor.length(), found)) [[unlikely]] {
        first_addresses_[i] = descriptor.address;
        first_rests_[i] = descriptor.rest;
        lengths_[i] = 0;
        ++others;
        continue;
      }
      headers_[i] = found;
      lengths_[i] = payload_bytes;
      prefetch_head<direction, net_header_bytes>(found);
    }
    return others;
  }

  RawDescriptor first(std::size_t i) const noexcept { return {first_addresses_[i], first_rests_[i]}; }

  /// Finds the indirect table or the second descriptor of each chain that may be short; null for all others.
  void look_further(const virtqueue::RingLayout& layout, std::uint16_t begin, std::uint16_t count,
                    Translator& translator) noexcept {
    for (std::uint16_t i = begin; i < count; ++i) {
      if (is_simple(i)) continue;
      std::uint8_t* found = nullptr;
      const RawDescriptor descriptor = first(i);
      const std::uint32_t entries = virtqueue::short_table_size(descriptor);
      if (entries != 0 && entries <= layout.size && layout.features.indirect) {
        if (!translator.translate({descriptor.address}, descriptor.length(), found)) found = nullptr;
      } else if (virtqueue::is_followed<direction>(descriptor) && descriptor.next() < layout.size && layout.size > 1) {
        found = const_cast<std::uint8_t*>(layout.descriptors) + descriptor.next() * descriptor_bytes;
      }
      payloads_[i] = found;
      rte_prefetch0(found);
    }
  }

  /// Chains with header and packet in two descriptors, or in an indirect table. Out of line: a common batch has none.
  [[gnu::noinline]] void load_short_chains(std::uint16_t count, Translator& translator) noexcept {
    for (std::uint16_t i = 0; i < count; ++i) {
      if (is_simple(i)) {
        payloads_[i] = headers_[i] + net_header_bytes;
      } else if (const std::uint8_t* const further = payloads_[i]; further != nullptr) {
        const std::uint32_t entries = virtqueue::short_table_size(first(i));
        const RawDescriptor head = entries == 0 ? first(i) : virtqueue::load_descriptor(further);
        if (entries != 0 && virtqueue::is_last<direction>(head))
          take_one(i, head, translator);
        else if (entries == 0)
          take_two(i, head, virtqueue::load_descriptor(further), translator);
        else if (virtqueue::is_followed<direction>(head) && head.next() < entries)
          take_two(i, head, virtqueue::load_descriptor(further + head.next() * descriptor_bytes), translator);
      }
    }
  }

  void take_one(std::uint16_t i, const RawDescriptor& whole, Translator& translator) noexcept {
    const std::uint32_t payload_bytes = whole.length() - net_header_bytes;
    if (payload_bytes - payload_min >= lengths_allowed_ ||
        !translator.translate({whole.address}, whole.length(), headers_[i]))
      return;
    payloads_[i] = headers_[i] + net_header_bytes;
    lengths_[i] = payload_bytes;
    prefetch_head<direction, net_header_bytes>(headers_[i]);
  }

  void take_two(std::uint16_t i, const RawDescriptor& header, const RawDescriptor& payload,
                Translator& translator) noexcept {
    if (header.length() != net_header_bytes || !virtqueue::is_last<direction>(payload) ||
        payload.length() - payload_min >= lengths_allowed_ ||
        !translator.translate({header.address}, net_header_bytes, headers_[i]) ||
        !translator.translate({payload.address}, payload.length(), payloads_[i]))
      return;
    lengths_[i] = payload.length();
    prefetch_line<direction>(headers_[i]);
    prefetch_line<direction>(payloads_[i]);
  }

  std::array<std::uint16_t, batch_max> heads_;
  // First descriptors of chains that load_far() did not find simple, as two arrays of words.
  std::array<std::uint64_t, batch_max> first_addresses_;
  std::array<std::uint64_t, batch_max> first_rests_;
  std::array<std::uint8_t*, batch_max> headers_;
  std::array<std::uint8_t*, batch_max> payloads_;  // unless one_piece_; before load_short_chains(): what it reads
  std::array<std::uint32_t, batch_max> lengths_;
  std::uint32_t lengths_allowed_ = 0;  // number of payload lengths, from payload_min on, that are simple
  bool one_piece_ = true;
  bool all_small_ = true;
};

}  // namespace vhostx::net
