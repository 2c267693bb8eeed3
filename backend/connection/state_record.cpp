// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/state_record.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using Bytes = StateRecord::Bytes;
using View = std::span<const std::byte>;

constexpr std::string_view magic = "VHXSTATE";
constexpr std::uint32_t version = 1;
constexpr std::size_t header_bytes = magic.size() + 8;
constexpr std::size_t sum_bytes = 4;
constexpr std::uint32_t vrings_max = 256;

enum class Kind : std::uint32_t { statistics = 1, application = 2 };

constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? value >> 1 ^ 0xedb88320U : value >> 1;
    table[i] = value;
  }
  return table;
}();

/// CRC-32 of IEEE 802.3.
std::uint32_t checksum(View bytes) noexcept {
  std::uint32_t sum = ~std::uint32_t{0};
  for (const std::byte byte : bytes) sum = crc_table[(sum ^ std::to_integer<std::uint32_t>(byte)) & 0xff] ^ sum >> 8;
  return ~sum;
}

template <typename Number>
void put(Bytes& to, Number number) {
  for (std::size_t i = 0; i < sizeof(Number); ++i) to.push_back(static_cast<std::byte>(number >> (8 * i) & 0xff));
}

/// The caller has checked that there are enough bytes.
template <typename Number>
Number take(View& from) noexcept {
  Number number = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    number |= static_cast<Number>(std::to_integer<Number>(from[i]) << (8 * i));
  from = from.subspan(sizeof(Number));
  return number;
}

void put_section(Bytes& to, Kind kind, View bytes) {
  put(to, static_cast<std::uint32_t>(kind));
  put(to, static_cast<std::uint32_t>(bytes.size()));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// u32 vrings, u32 counters of each, and their values.
Bytes bytes_of(const std::vector<VringStats>& vrings) {
  Bytes bytes;
  put(bytes, static_cast<std::uint32_t>(vrings.size()));
  put(bytes, static_cast<std::uint32_t>(vring_counter_count));
  for (const VringStats& vring : vrings)
    for (const std::uint64_t value : vring.values) put(bytes, value);
  return bytes;
}
static_assert(vrings_max * vring_counter_count * 8 + 64 < StateRecord::overhead_max);

Result<std::vector<VringStats>> statistics_of(View bytes) {
  constexpr std::uint32_t counters_max = 4096;
  if (bytes.size() < 8) return protocol_violation("its statistics have {} bytes, expected 8 or more", bytes.size());
  const auto vrings = take<std::uint32_t>(bytes);
  const auto counters = take<std::uint32_t>(bytes);
  if (vrings > vrings_max || counters > counters_max ||
      bytes.size() != std::uint64_t{vrings} * counters * sizeof(std::uint64_t))
    return protocol_violation("its statistics of {} vrings with {} counters have {} bytes", vrings, counters,
                              bytes.size());
  std::vector<VringStats> all(vrings);
  for (VringStats& vring : all)
    for (std::uint32_t i = 0; i < counters; ++i) {
      const auto value = take<std::uint64_t>(bytes);
      if (i < vring_counter_count) vring.values[i] = value;
    }
  return all;
}

Result<void> read_section(StateRecord& record, std::uint32_t kind, View bytes) {
  if (kind == static_cast<std::uint32_t>(Kind::statistics)) {
    if (record.statistics) return protocol_violation("it has statistics twice");
    auto statistics = statistics_of(bytes);
    if (!statistics) return std::move(statistics).error();
    record.statistics = std::move(statistics).value();
  } else if (kind == static_cast<std::uint32_t>(Kind::application)) {
    if (record.application) return protocol_violation("it has an application's state twice");
    record.application.emplace(bytes.begin(), bytes.end());
  }
  return {};
}

/// The sections, once all else is as it should be.
Result<View> sections_of(View bytes) {
  constexpr std::size_t least = header_bytes + sum_bytes;
  if (bytes.size() < least) return protocol_violation("it has {} bytes, expected {} or more", bytes.size(), least);
  View rest = bytes.first(bytes.size() - sum_bytes);
  View sum = bytes.last(sum_bytes);
  const bool ours = std::equal(magic.begin(), magic.end(), bytes.begin(),
                               [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
  if (!ours) return protocol_violation("it does not begin with {}: no record of this library", magic);
  rest = rest.subspan(magic.size());
  View head = rest;
  if (const auto found = take<std::uint32_t>(head); found != version)
    return protocol_violation("it is of version {}, expected {}", found, version);
  if (const auto length = take<std::uint32_t>(head); length != head.size())
    return protocol_violation("its sections have {} bytes, expected {}", head.size(), length);
  if (take<std::uint32_t>(sum) != checksum(bytes.first(bytes.size() - sum_bytes)))
    return protocol_violation("its checksum is wrong");
  return head;
}

}  // namespace

Bytes StateRecord::serialize() const {
  Bytes sections;
  if (statistics) put_section(sections, Kind::statistics, bytes_of(*statistics));
  if (application) put_section(sections, Kind::application, *application);
  Bytes bytes;
  bytes.reserve(header_bytes + sections.size() + sum_bytes);
  for (const char c : magic) bytes.push_back(static_cast<std::byte>(c));
  put(bytes, version);
  put(bytes, static_cast<std::uint32_t>(sections.size()));
  bytes.insert(bytes.end(), sections.begin(), sections.end());
  put(bytes, checksum(bytes));
  return bytes;
}

Result<StateRecord> StateRecord::parse(View bytes) {
  auto sections = sections_of(bytes);
  if (!sections) return std::move(sections).error();
  StateRecord record;
  for (View rest = *sections; !rest.empty();) {
    if (rest.size() < 8) return protocol_violation("{} bytes are left after its last section", rest.size());
    const auto kind = take<std::uint32_t>(rest);
    const auto length = take<std::uint32_t>(rest);
    if (length > rest.size())
      return protocol_violation("section {} has {} bytes, expected at most {}", kind, length, rest.size());
    if (auto read = read_section(record, kind, rest.first(length)); !read) return std::move(read).error();
    rest = rest.subspan(length);
  }
  return record;
}

}  // namespace vhostx::backend
