// SPDX-License-Identifier: BSD-3-Clause
// How batches recognise chains of one or two buffers by their descriptors, without a ChainWalker.
#pragma once

#include <cstdint>

#include "virtqueue/chain.hpp"
#include "virtqueue/ring_layout.hpp"

namespace vhostx::virtqueue {

namespace detail {

// Compares the flags in place, without shifting the word.
template <Direction direction, std::uint64_t beside>
constexpr bool has_flags(const RawDescriptor& descriptor) noexcept {
  constexpr std::uint64_t looked_at = Descriptor::next_flag | Descriptor::write_flag | Descriptor::indirect_flag;
  constexpr std::uint64_t wanted = (direction == Direction::writable ? Descriptor::write_flag : 0) | beside;
  return (descriptor.rest & looked_at << 32) == wanted << 32;
}

}  // namespace detail

/// Whether a descriptor is valid for this direction, ends a chain, and is not indirect.
template <Direction direction>
constexpr bool is_last(const RawDescriptor& descriptor) noexcept {
  return detail::has_flags<direction, 0>(descriptor);
}

/// The same for a descriptor with a next one.
template <Direction direction>
constexpr bool is_followed(const RawDescriptor& descriptor) noexcept {
  return detail::has_flags<direction, Descriptor::next_flag>(descriptor);
}

/// How many descriptors the table of an indirect descriptor has, if a batch handles it (one or two). Else 0.
constexpr std::uint32_t short_table_size(const RawDescriptor& descriptor) noexcept {
  constexpr std::uint16_t looked_at = Descriptor::next_flag | Descriptor::indirect_flag;
  if ((descriptor.flags() & looked_at) != Descriptor::indirect_flag) return 0;
  if (descriptor.length() == sizeof(Descriptor)) return 1;
  return descriptor.length() == 2 * sizeof(Descriptor) ? 2 : 0;
}

}  // namespace vhostx::virtqueue
