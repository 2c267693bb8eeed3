// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071) over buffers, mbuf chains and both in a row; and SCTP's CRC32c.
#pragma once

#include <cstddef>
#include <cstdint>

struct rte_mbuf;

namespace vhostx::net {

/// One's complement sum of bytes that are added piece by piece, in order; pieces may have odd lengths. Values are in
/// memory order: store what folded() returns with memcpy, without a byte swap.
class OnesSum {
 public:
  void add(const void* bytes, std::size_t length) noexcept;
  /// `length` bytes of the chain from `offset`, or as many as there are.
  void add(const rte_mbuf* packet, std::uint32_t offset, std::uint32_t length) noexcept;
  /// A 16-bit word in memory order, at an even position (a pseudo header's field, a sum made before).
  void add_word(std::uint16_t word) noexcept { sum_ += word; }

  std::uint16_t folded() const noexcept;
  /// The complement, ready to store. 0 becomes 0xffff: the same number, but in UDP 0 means "no checksum".
  std::uint16_t checksum() const noexcept {
    const auto inverted = static_cast<std::uint16_t>(~folded());
    return inverted == 0 ? std::uint16_t{0xffff} : inverted;
  }

 private:
  std::uint64_t sum_ = 0;
  bool odd_ = false;
};

/// CRC32c (RFC 9260, appendix A), piece by piece: start with `crc32c_start`, end with `~`.
inline constexpr std::uint32_t crc32c_start = 0xffffffffU;
std::uint32_t crc32c(std::uint32_t crc, const void* bytes, std::size_t length) noexcept;
std::uint32_t crc32c(std::uint32_t crc, const rte_mbuf* packet, std::uint32_t offset, std::uint32_t length) noexcept;

}  // namespace vhostx::net
