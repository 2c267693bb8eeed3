// SPDX-License-Identifier: BSD-3-Clause
// Fields of packet headers in private byte buffers: network order, any alignment.
#pragma once

#include <cstdint>
#include <cstring>

namespace vhostx::net {

inline std::uint16_t load_be16(const std::uint8_t* at) noexcept {
  return static_cast<std::uint16_t>((at[0] << 8) | at[1]);
}

inline std::uint32_t load_be32(const std::uint8_t* at) noexcept {
  return (std::uint32_t{load_be16(at)} << 16) | load_be16(at + 2);
}

inline void store_be16(std::uint8_t* at, std::uint32_t value) noexcept {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

inline void store_be32(std::uint8_t* at, std::uint32_t value) noexcept {
  store_be16(at, value >> 16);
  store_be16(at + 2, value);
}

/// A 16-bit word in memory order, as OnesSum uses it.
inline std::uint16_t load_raw16(const std::uint8_t* at) noexcept {
  std::uint16_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

inline void store_raw16(std::uint8_t* at, std::uint16_t word) noexcept { std::memcpy(at, &word, sizeof(word)); }

}  // namespace vhostx::net
