// SPDX-License-Identifier: BSD-3-Clause
// Samples the buffers that a driver posts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/guest_memory.hpp"
#include "virtqueue/any_layout.hpp"

namespace vhostx::virtqueue {

/// Addresses of the buffers that the driver made available last, used or not. From each chain it takes the larger of
/// the first two buffers. Reads rings and indirect tables but no buffer. Any thread, also while another one works on
/// the ring. Skips chains that are invalid, for example because the driver changes them meanwhile. Looks at no more
/// than 4 * out.size() chains. Returns how many it found, at most `out.size()`.
std::size_t sample_posted(const RingLayout& layout, const memory::GuestMemory& memory,
                          std::span<const std::uint8_t*> out) noexcept;

/// The same of a ring of either kind. In a packed ring it is a sample of all its entries: used descriptors keep their
/// addresses.
std::size_t sample_posted(const AnyLayout& layout, const memory::GuestMemory& memory,
                          std::span<const std::uint8_t*> out) noexcept;

}  // namespace vhostx::virtqueue
