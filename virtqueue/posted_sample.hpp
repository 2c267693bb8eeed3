// SPDX-License-Identifier: BSD-3-Clause
// Which buffers a driver really posts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/guest_memory.hpp"
#include "virtqueue/ring_layout.hpp"

namespace vhostx::virtqueue {

/// Where buffers lie that the driver made available last, whether they have been used or not: of each chain the first
/// descriptor or the one behind it, which is larger. Reads rings and indirect tables, and no buffer. Any thread, also
/// while another one works on the ring; what a driver changes meanwhile, or lies about, is left out. Looks at 4 *
/// out.size() chains at most. Returns how many it found, `out.size()` at most.
std::size_t sample_posted(const RingLayout& layout, const memory::GuestMemory& memory,
                          std::span<const std::uint8_t*> out) noexcept;

}  // namespace vhostx::virtqueue
