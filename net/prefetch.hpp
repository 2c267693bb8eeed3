// SPDX-License-Identifier: BSD-3-Clause
// Cache lines asked for before they are needed. In guest memory they usually lie in another processor's cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rte_prefetch.h>

#include "virtqueue/chain_walker.hpp"

namespace vhostx::net {

inline constexpr std::uint32_t cache_line_bytes = 64;

/// The line at `address`, to be read or written as buffers of that direction are. Any address will do, mapped or not.
template <virtqueue::Direction direction>
[[gnu::always_inline]] inline void prefetch_line(const std::uint8_t* address) noexcept {
  if constexpr (direction == virtqueue::Direction::readable) {
    rte_prefetch0(address);
  } else {
#if defined(__x86_64__)
    // A line that is fetched for reading has to be fetched again to be written. Compilers emit this instruction only
    // for processors that name it; all others with 64 bits take it for a no-operation.
    asm volatile("prefetchw %0" : : "m"(*address));
#else
    __builtin_prefetch(address, 1);
#endif
  }
}

/// A net header, and the first line of what is behind it: header and payload share a line, or the payload begins one.
template <virtqueue::Direction direction, std::uint16_t net_header_bytes>
[[gnu::always_inline]] inline void prefetch_head(const std::uint8_t* header) noexcept {
  prefetch_line<direction>(header);
  prefetch_line<direction>(header + net_header_bytes + cache_line_bytes - 1);
}

/// Behind its first line, the payload of a large packet, while another one is copied.
template <virtqueue::Direction direction>
inline void prefetch_rest(const std::uint8_t* payload, std::uint32_t bytes) noexcept {
#pragma GCC unroll 4
  for (std::uint32_t at = cache_line_bytes; at < bytes; at += cache_line_bytes) prefetch_line<direction>(payload + at);
}

/// No more than this of a packet is asked for ahead: the rest the processor's own prefetching will have found by then.
inline constexpr std::uint32_t prefetch_rest_max = 4096;

}  // namespace vhostx::net
