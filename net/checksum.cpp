// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum and CRC32c.
#include "net/checksum.hpp"

#include <array>
#include <cstring>

#include "memory/load_hook.hpp"
#include "net/mbuf_pieces.hpp"

namespace vhostx::net {

namespace {

constexpr std::uint64_t halves(std::uint64_t word) noexcept { return (word & 0xffffffffU) + (word >> 32); }

/// Sum of 32-bit words, the last one padded with zeros: equal to the sum of 16-bit words modulo 0xffff (RFC 1071, 2).
/// No overflow below 2^32 words.
std::uint64_t sum_words(const std::uint8_t* bytes, std::size_t length) noexcept {
  std::uint64_t sum = 0;
  std::uint64_t word = 0;
  for (; length >= sizeof(word); bytes += sizeof(word), length -= sizeof(word)) {
    std::memcpy(&word, bytes, sizeof(word));
    sum += halves(word);
  }
  word = 0;
  std::memcpy(&word, bytes, length);
  return sum + halves(word);
}

constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
  sum = halves(sum);
  sum = halves(sum);
  sum = (sum & 0xffffU) + (sum >> 16);
  sum = (sum & 0xffffU) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

constexpr std::uint16_t swapped(std::uint16_t word) noexcept {
  return static_cast<std::uint16_t>((word << 8) | (word >> 8));
}

consteval std::array<std::uint32_t, 256> make_crc32c_table() noexcept {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    table[byte] = crc;
  }
  return table;
}

constexpr auto crc32c_table = make_crc32c_table();

}  // namespace

void OnesSum::add(const void* bytes, std::size_t length) noexcept {
  if (length == 0) return;  // memcpy takes no null pointer, not even for nothing
  const std::uint64_t sum = sum_words(static_cast<const std::uint8_t*>(bytes), length);
  // A piece that starts at an odd position has every byte in the other half of its word (RFC 1071, 2 (B)).
  sum_ += odd_ ? swapped(fold(sum)) : sum;
  odd_ = odd_ != ((length & 1) != 0);
  memory::loaded(bytes, length);
}

void OnesSum::add(const rte_mbuf* packet, std::uint32_t offset, std::uint32_t length) noexcept {
  for_each_piece(packet, offset, length, [this](const std::uint8_t* bytes, std::uint32_t count) { add(bytes, count); });
}

std::uint16_t OnesSum::folded() const noexcept { return fold(sum_); }

std::uint32_t crc32c(std::uint32_t crc, const void* bytes, std::size_t length) noexcept {
  const auto* at = static_cast<const std::uint8_t*>(bytes);
  for (std::size_t i = 0; i < length; ++i) crc = (crc >> 8) ^ crc32c_table[(crc ^ at[i]) & 0xffU];
  memory::loaded(bytes, length);
  return crc;
}

std::uint32_t crc32c(std::uint32_t crc, const rte_mbuf* packet, std::uint32_t offset, std::uint32_t length) noexcept {
  for_each_piece(packet, offset, length,
                 [&crc](const std::uint8_t* bytes, std::uint32_t count) { crc = crc32c(crc, bytes, count); });
  return crc;
}

}  // namespace vhostx::net
