// SPDX-License-Identifier: BSD-3-Clause
// Bytes that claim to be the state of a guest: what is refused has a reason, and what is taken can be written and read
// again unchanged.
//
// Input: one byte, and the record. If the byte is odd, its length and checksum are corrected before it is read: no
// mutation finds these.
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/connection/state_record.hpp"

using vhostx::backend::StateRecord;

namespace {

constexpr std::size_t length_at = 12;
constexpr std::size_t header_bytes = 16;
constexpr std::size_t sum_bytes = 4;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

void write_at(std::vector<std::byte>& bytes, std::size_t at, std::uint32_t number) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(number >> (8 * i) & 0xff);
}

/// CRC-32, bit by bit: not the one of the library.
std::uint32_t sum_of(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0xffffffff;
  for (const std::byte byte : bytes) {
    sum ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = (sum & 1) != 0 ? sum >> 1 ^ 0xedb88320 : sum >> 1;
  }
  return ~sum;
}

void correct(std::vector<std::byte>& bytes) {
  if (bytes.size() < header_bytes + sum_bytes) return;
  const std::size_t sum_at = bytes.size() - sum_bytes;
  write_at(bytes, length_at, static_cast<std::uint32_t>(sum_at - header_bytes));
  write_at(bytes, sum_at, sum_of(std::span(bytes).first(sum_at)));
}

bool same(const StateRecord& a, const StateRecord& b) {
  if (a.application != b.application || a.statistics.has_value() != b.statistics.has_value()) return false;
  if (!a.statistics) return true;
  if (a.statistics->size() != b.statistics->size()) return false;
  for (std::size_t i = 0; i < a.statistics->size(); ++i)
    if ((*a.statistics)[i].values != (*b.statistics)[i].values) return false;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto input = std::as_bytes(std::span(data, size));
  std::vector<std::byte> bytes(input.begin() + 1, input.end());
  if ((data[0] & 1) != 0) correct(bytes);
  const auto record = StateRecord::parse(bytes);
  if (!record) {
    require(!record.error().message.empty());
    return 0;
  }
  require(!record->statistics || record->statistics->size() <= 256);
  require(!record->application || record->application->size() <= bytes.size());
  const auto again = StateRecord::parse(record->serialize());
  require(again.ok() && same(*record, *again));
  return 0;
}
