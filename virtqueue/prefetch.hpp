// SPDX-License-Identifier: BSD-3-Clause
// Prefetches cache lines. Lines of guest memory are usually in another processor's cache.
#pragma once

#include <cstdint>

#include "virtqueue/chain.hpp"

namespace vhostx::virtqueue {

inline constexpr std::uint32_t cache_line_bytes = 64;

/// Prefetches the line at `address` for reading or writing, by direction. The address need not be mapped.
template <Direction direction>
[[gnu::always_inline]] inline void prefetch_line(const std::uint8_t* address) noexcept {
  if constexpr (direction == Direction::readable) {
    __builtin_prefetch(address);
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

/// Prefetches a header and the first line of the body behind it: they share a line, or the body begins one.
template <typename Shape>
[[gnu::always_inline]] inline void prefetch_head(const std::uint8_t* header) noexcept {
  prefetch_line<Shape::direction>(header);
  prefetch_line<Shape::direction>(header + Shape::header_bytes + cache_line_bytes - 1);
}

/// Prefetches a long body after its first line, before another one is copied.
template <Direction direction>
inline void prefetch_rest(const std::uint8_t* body, std::uint32_t bytes) noexcept {
#pragma GCC unroll 4
  for (std::uint32_t at = cache_line_bytes; at < bytes; at += cache_line_bytes) prefetch_line<direction>(body + at);
}

/// At most this much of a body is prefetched. By then the processor's own prefetcher has recognised the rest.
inline constexpr std::uint32_t prefetch_rest_max = 4096;

}  // namespace vhostx::virtqueue
