// SPDX-License-Identifier: BSD-3-Clause
// Copies of packets: most are small, and a call of memcpy costs more than their bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "memory/load_hook.hpp"

namespace vhostx::net {

/// Exactly `size` bytes; the first and the last of a block may overlap. The compiler makes each a few moves.
template <std::size_t block>
inline void copy_two_blocks(std::uint8_t* to, const std::uint8_t* from, std::size_t size) noexcept {
  std::memcpy(to, from, block);
  std::memcpy(to + size - block, from + size - block, block);
}

/// Copies `size` bytes between memory that does not overlap. Never touches a byte more: what lies behind a packet in an
/// mbuf may be another guest's. Large packets are the C library's, which chooses instructions by processor; before such
/// a copy, which takes its time, `before_long_copy()` is called.
template <typename BeforeLongCopy>
[[gnu::always_inline]] inline void copy_packet(std::uint8_t* to, const std::uint8_t* from, std::size_t size,
                                               BeforeLongCopy before_long_copy) noexcept {
  if (size - 33 <= 64 - 33) [[likely]] {  // acknowledgements, and what benchmarks send
    copy_two_blocks<32>(to, from, size);
  } else if (size > 128 || size < 16) {
    before_long_copy();
    std::memcpy(to, from, size);
  } else if (size > 64) {
    copy_two_blocks<64>(to, from, size);
  } else {
    copy_two_blocks<16>(to, from, size);
  }
  memory::loaded(from, size);
}

inline void copy_packet(std::uint8_t* to, const std::uint8_t* from, std::size_t size) noexcept {
  copy_packet(to, from, size, [] {});
}

}  // namespace vhostx::net
