// SPDX-License-Identifier: BSD-3-Clause
// What batches ask of a descriptor before they take a chain for one or two buffers, without a ChainWalker.
#pragma once

#include <cstdint>

#include "virtqueue/chain_walker.hpp"
#include "virtqueue/ring_layout.hpp"

namespace vhostx::virtqueue {

namespace detail {

// The flags are compared where they stand: no shift of the word.
template <Direction direction, std::uint64_t beside>
constexpr bool has_flags(const RawDescriptor& descriptor) noexcept {
  constexpr std::uint64_t looked_at = Descriptor::next_flag | Descriptor::write_flag | Descriptor::indirect_flag;
  constexpr std::uint64_t wanted = (direction == Direction::writable ? Descriptor::write_flag : 0) | beside;
  return (descriptor.rest & looked_at << 32) == wanted << 32;
}

}  // namespace detail

/// Whether a descriptor ends a chain of a ring of that direction, and is no indirect one.
template <Direction direction>
constexpr bool is_last(const RawDescriptor& descriptor) noexcept {
  return detail::has_flags<direction, 0>(descriptor);
}

/// The same for one that another follows.
template <Direction direction>
constexpr bool is_followed(const RawDescriptor& descriptor) noexcept {
  return detail::has_flags<direction, Descriptor::next_flag>(descriptor);
}

/// How many descriptors the table of this one has, if it is an indirect one that a batch takes: one or two. Else 0.
constexpr std::uint32_t short_table_size(const RawDescriptor& descriptor) noexcept {
  constexpr std::uint16_t looked_at = Descriptor::next_flag | Descriptor::indirect_flag;
  if ((descriptor.flags() & looked_at) != Descriptor::indirect_flag) return 0;
  if (descriptor.length() == sizeof(Descriptor)) return 1;
  return descriptor.length() == 2 * sizeof(Descriptor) ? 2 : 0;
}

}  // namespace vhostx::virtqueue
