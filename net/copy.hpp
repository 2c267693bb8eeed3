// SPDX-License-Identifier: BSD-3-Clause
// Copies of packets: most are small, and a call of memcpy costs more than their bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "memory/load_hook.hpp"

namespace vhostx::net {

/// What a processor moves with one instruction.
using CopyWord = std::uint64_t __attribute__((vector_size(16)));

inline CopyWord load_copy_word(const std::uint8_t* from) noexcept {
  CopyWord word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

/// Copies exactly `size` bytes as a first and a last block, which may overlap. Source and destination may overlap too:
/// everything is loaded before anything is stored. The compiler makes it a few moves.
template <std::size_t... word>
inline void copy_two_blocks(std::uint8_t* to, const std::uint8_t* from, std::size_t size,
                            std::index_sequence<word...>) noexcept {
  constexpr std::size_t bytes = sizeof(CopyWord);
  constexpr std::size_t block = sizeof...(word) * bytes;
  const CopyWord first[] = {load_copy_word(from + word * bytes)...};
  const CopyWord last[] = {load_copy_word(from + size - block + word * bytes)...};
  (std::memcpy(to + word * bytes, &first[word], bytes), ...);
  (std::memcpy(to + size - block + word * bytes, &last[word], bytes), ...);
}

template <std::size_t block>
inline void copy_two_blocks(std::uint8_t* to, const std::uint8_t* from, std::size_t size) noexcept {
  copy_two_blocks(to, from, size, std::make_index_sequence<block / sizeof(CopyWord)>());
}

/// Copies `size` bytes. Source and destination may overlap: a guest may post a buffer from which a packet is lent, and
/// be sent that packet. Touches no byte more, as the bytes after a packet may be another guest's. Large packets are
/// copied by the C library, which chooses instructions by processor; `before_long_copy()` is called before such a copy.
template <typename BeforeLongCopy>
[[gnu::always_inline]] inline void copy_packet(std::uint8_t* to, const std::uint8_t* from, std::size_t size,
                                               BeforeLongCopy before_long_copy) noexcept {
  if (size - 33 <= 64 - 33) [[likely]] {  // acknowledgements, and what benchmarks send
    copy_two_blocks<32>(to, from, size);
  } else if (size > 128 || size < 16) {
    before_long_copy();
    std::memmove(to, from, size);
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
