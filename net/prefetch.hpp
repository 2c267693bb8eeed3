// SPDX-License-Identifier: BSD-3-Clause
// Prefetches cache lines. Lines of guest memory are usually in another processor's cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rte_prefetch.h>

#include "virtqueue/chain_walker.hpp"

namespace vhostx::net {

inline constexpr std::uint32_t cache_line_bytes = 64;

/// Prefetches the line at `address` for reading or writing, by direction. The address need not be mapped.
template <virtqueue::Direction direction>
[[gnu::always_inline]] inline void prefetch_line(const std::uint8_t* address) noexcept {
  if constexpr (direction == virtqueue::Direction::readable) {
    rte_prefetch0(address);
  } else {
#if defined(__x86_64__)
    // A line that was fetched for reading must be fetched again for writing. Compilers emit this instruction only for
    // processors that list it as a feature; all other 64-bit processors treat it as a no-operation.
    asm volatile("prefetchw %0" : : "m"(*address));
#else
    __builtin_prefetch(address, 1);
#endif
  }
}

/// Prefetches a net header and the first line of its payload: they share a line, or the payload begins one.
template <virtqueue::Direction direction, std::uint16_t net_header_bytes>
[[gnu::always_inline]] inline void prefetch_head(const std::uint8_t* header) noexcept {
  prefetch_line<direction>(header);
  prefetch_line<direction>(header + net_header_bytes + cache_line_bytes - 1);
}

/// Prefetches the payload of a large packet after its first line, before another packet is copied.
template <virtqueue::Direction direction>
inline void prefetch_rest(const std::uint8_t* payload, std::uint32_t bytes) noexcept {
#pragma GCC unroll 4
  for (std::uint32_t at = cache_line_bytes; at < bytes; at += cache_line_bytes) prefetch_line<direction>(payload + at);
}

/// At most this much of a packet is prefetched. By then the processor's own prefetcher has recognised the rest.
inline constexpr std::uint32_t prefetch_rest_max = 4096;

}  // namespace vhostx::net
