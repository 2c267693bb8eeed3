// SPDX-License-Identifier: BSD-3-Clause
// ChainBatch: what a batch knows of the next few chains, whatever the kind of ring. SplitBatch and PackedBatch find
// them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "memory/buffer_translator.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/chain.hpp"
#include "virtqueue/prefetch.hpp"

namespace vhostx::virtqueue {

/// Descriptors are read once, checked and used. A chain that is not simple is left to a ChainWalker, which starts over:
/// nothing that was read here is used then, but its id and length. `keeps_addresses`: where rooms are, in guest
/// addresses.
template <typename Shape, bool keeps_addresses>
class ChainBatch {
 public:
  using Hint = memory::GuestMemory::Hint;

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

 protected:
  static constexpr Direction direction = Shape::direction;
  static constexpr std::uint16_t header_bytes = Shape::header_bytes;
  static constexpr std::uint32_t body_min = Shape::body_min;
  using Translator = memory::BufferTranslator<header_bytes + Shape::body_max>;

  /// Bodies of up to `body_max` bytes are simple from now on.
  void allow(std::uint32_t body_max) noexcept {
    body_max = std::min(body_max, Shape::body_max);
    lengths_allowed_ = body_max < body_min ? 0 : body_max - body_min + 1;
  }
  RawDescriptor first(std::size_t i) const noexcept { return {first_addresses_[i], first_rests_[i]}; }
  /// Chain `i` is not one buffer: keeps its first descriptor.
  void set_aside(std::size_t i, const RawDescriptor& first) noexcept {
    first_addresses_[i] = first.address;
    first_rests_[i] = first.rest;
    lengths_[i] = 0;
  }
  void keep_addresses(std::size_t i, std::uint64_t header, std::uint64_t body) noexcept {
    if constexpr (keeps_addresses && direction == Direction::writable) {
      first_addresses_[i] = header;
      first_rests_[i] = body;
    }
  }

  /// Chain `i` is a buffer, alone or in an indirect table, or is two of them. `translator`: or its Far.
  void take_one(std::size_t i, const RawDescriptor& whole, auto& translator) noexcept {
    const std::uint32_t length = whole.length() - header_bytes;
    if (length - body_min >= lengths_allowed_ || !translator.translate({whole.address}, whole.length(), headers_[i]))
      return;
    bodies_[i] = headers_[i] + header_bytes;
    lengths_[i] = length;
    keep_addresses(i, whole.address, whole.address + header_bytes);
    prefetch_head<Shape>(headers_[i]);
  }
  void take_two(std::size_t i, const RawDescriptor& header, const RawDescriptor& body, auto& translator) noexcept {
    if (header.length() != header_bytes || body.length() - body_min >= lengths_allowed_ ||
        !translator.translate({header.address}, header_bytes, headers_[i]) ||
        !translator.translate({body.address}, body.length(), bodies_[i]))
      return;
    lengths_[i] = body.length();
    keep_addresses(i, header.address, body.address);
    prefetch_line<direction>(headers_[i]);
    prefetch_line<direction>(bodies_[i]);
  }

  ChainList chains_;
  // First descriptors of chains that are set aside, as two arrays of words. Of simple ones: the guest addresses of
  // header and body.
  std::array<std::uint64_t, batch_max> first_addresses_;
  std::array<std::uint64_t, batch_max> first_rests_;
  std::array<const std::uint8_t*, batch_max> headers_;
  std::array<const std::uint8_t*, batch_max> bodies_;  // unless one_piece_; of those set aside: what is read next
  std::array<std::uint32_t, batch_max> lengths_;
  std::uint32_t lengths_allowed_ = 0;  // number of lengths, from body_min on, that are simple
  bool one_piece_ = true;
  bool all_small_ = true;

 private:
  static memory::GuestAddress address(const std::uint64_t& kept) noexcept {
    if constexpr (keeps_addresses) return {kept};
    return {};
  }
};

}  // namespace vhostx::virtqueue
