// SPDX-License-Identifier: BSD-3-Clause
// How the next chains of a packed ring are found and recognised by their descriptors, without a ChainWalker.
#pragma once

#include <cstdint>

#include "virtqueue/chain.hpp"
#include "virtqueue/packed_layout.hpp"

namespace vhostx::virtqueue {

namespace detail {
template <Direction direction>
inline constexpr std::uint64_t wanted_flag = direction == Direction::writable ? Descriptor::write_flag : 0;
}  // namespace detail

/// The flags of a descriptor at `at` that the driver has made available, valid for this direction, and a chain of its
/// own without an indirect table; in place, as PackedDescriptor::tail() has them.
template <Direction direction>
constexpr std::uint32_t whole_chain(PackedPosition at) noexcept {
  return static_cast<std::uint32_t>(at.available() | detail::wanted_flag<direction>) << 16;
}
constexpr bool is_whole_chain(std::uint32_t tail, std::uint32_t flags_in_place) noexcept {
  constexpr std::uint32_t looked_at =
      Descriptor::next_flag | Descriptor::write_flag | Descriptor::indirect_flag | packed_avail_flag | packed_used_flag;
  return (tail & looked_at << 16) == flags_in_place;
}

/// Whether a descriptor is a buffer for this direction. What comes after it is known from elsewhere.
template <Direction direction>
constexpr bool is_buffer(const PackedDescriptor& read) noexcept {
  constexpr std::uint64_t looked_at = Descriptor::write_flag | Descriptor::indirect_flag;
  return (read.rest & looked_at << 48) == detail::wanted_flag<direction> << 48;
}

/// The same in an indirect table. What is to be read need not say so: see PackedLinks::in_table().
template <Direction direction>
constexpr bool is_table_buffer(const PackedDescriptor& read) noexcept {
  if constexpr (direction == Direction::readable) return (read.flags() & Descriptor::indirect_flag) == 0;
  return is_buffer<direction>(read);
}

/// The entry at `at` is available, and the one at `most` - 1 behind it is not: how many are, if the driver makes them
/// available one after the other.
[[gnu::noinline]] inline std::uint16_t count_some(const PackedLayout& layout, PackedPosition at,
                                                  std::uint32_t most) noexcept {
  std::uint32_t known = 1;  // entries that are there, below `most`
  for (std::uint32_t step = most - 1; step > 1;) {
    const std::uint32_t half = step / 2;
    const bool there = layout.is_available(at.after(known + half - 1, layout.size));
    if (there) known += half;
    step = there ? step - half : half;
  }
  return static_cast<std::uint16_t>(known);
}
/// How many entries from `at` on the driver has made available, at most `most`. The first is known to be. Reads few of
/// them: as a rule all are there. Whoever takes a chain looks at it itself.
[[gnu::always_inline]] inline std::uint16_t count_available(const PackedLayout& layout, PackedPosition at,
                                                            std::uint32_t most) noexcept {
  if (most == 1 || layout.is_available(at.after(most - 1, layout.size))) [[likely]]
    return static_cast<std::uint16_t>(most);
  return count_some(layout, at, most);
}

}  // namespace vhostx::virtqueue
