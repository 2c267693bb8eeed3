// SPDX-License-Identifier: BSD-3-Clause
// The IPv4 header's checksum, and the sums of TCP's and UDP's pseudo headers (RFC 9293, 3.1; RFC 8200, 8.1): in memory
// order and not complemented.
#pragma once

#include <bit>
#include <cstdint>

#include "net/checksum.hpp"
#include "net/wire.hpp"

namespace vhostx::net {

namespace detail {
/// A host-order number below 2^16 as the word it is in memory.
constexpr std::uint16_t wire16(std::uint32_t value) noexcept {
  const auto low = static_cast<std::uint16_t>(value);
  if constexpr (std::endian::native == std::endian::big) return low;
  return static_cast<std::uint16_t>((low << 8) | (low >> 8));
}
}  // namespace detail

/// `ip` is an IPv4 header, as long as it says.
inline void write_ipv4_checksum(std::uint8_t* ip) noexcept {
  store_raw16(ip + 10, 0);
  OnesSum sum;
  sum.add(ip, std::size_t{4} * (ip[0] & 0x0fU));
  store_raw16(ip + 10, static_cast<std::uint16_t>(~sum.folded()));
}

/// `l4_length` is at most 0xffff; the version is read from `ip`, 20 or 40 bytes of which are there.
inline std::uint16_t pseudo_header_sum(const std::uint8_t* ip, std::uint8_t protocol,
                                       std::uint32_t l4_length) noexcept {
  OnesSum sum;
  if ((ip[0] >> 4) == 4)
    sum.add(ip + 12, 8);
  else
    sum.add(ip + 8, 32);
  sum.add_word(detail::wire16(protocol));
  sum.add_word(detail::wire16(l4_length));
  return sum.folded();
}

/// A pseudo header's sum that was made without a length.
inline std::uint16_t sum_with_length(std::uint16_t partial, std::uint32_t l4_length) noexcept {
  OnesSum sum;
  sum.add_word(partial);
  sum.add_word(detail::wire16(l4_length));
  return sum.folded();
}

/// A pseudo header's sum made with one length, for another (RFC 1624).
inline std::uint16_t sum_for_length(std::uint16_t partial, std::uint32_t old_length,
                                    std::uint32_t new_length) noexcept {
  OnesSum sum;
  sum.add_word(partial);
  sum.add_word(static_cast<std::uint16_t>(~detail::wire16(old_length)));
  sum.add_word(detail::wire16(new_length));
  return sum.folded();
}

}  // namespace vhostx::net
