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
/// own without an indirect table; in place, as a descriptor's word has them.
template <Direction direction>
constexpr std::uint64_t whole_chain(PackedPosition at) noexcept {
  return (at.available() | detail::wanted_flag<direction>) << 48;
}
constexpr bool is_whole_chain(const PackedDescriptor& read, std::uint64_t flags_in_place) noexcept {
  constexpr std::uint64_t looked_at =
      Descriptor::next_flag | Descriptor::write_flag | Descriptor::indirect_flag | packed_avail_flag | packed_used_flag;
  return (read.rest & looked_at << 48) == flags_in_place;
}

/// Whether a descriptor is a buffer for this direction. What comes after it is known from elsewhere.
template <Direction direction>
constexpr bool is_buffer(const PackedDescriptor& read) noexcept {
  constexpr std::uint64_t looked_at = Descriptor::write_flag | Descriptor::indirect_flag;
  return (read.rest & looked_at << 48) == detail::wanted_flag<direction> << 48;
}

/// How many entries from `at` on the driver has made available, at most `most`, if it makes them available one after
/// the other; whoever takes a chain looks at it itself. Reads few of them: as a rule all are there, or none.
[[gnu::always_inline]] inline std::uint16_t count_available(const PackedLayout& layout, PackedPosition at,
                                                            std::uint32_t most) noexcept {
  if (most == 0 || !layout.is_available(at)) return 0;
  if (layout.is_available(at.after(most - 1, layout.size))) return static_cast<std::uint16_t>(most);
  std::uint32_t known = 1;  // entries that are there, below `most`
  for (std::uint32_t step = most - 1; step > 1;) {
    const std::uint32_t half = step / 2;
    const bool there = layout.is_available(at.after(known + half - 1, layout.size));
    if (there) known += half;
    step = there ? step - half : half;
  }
  return static_cast<std::uint16_t>(known);
}

}  // namespace vhostx::virtqueue
