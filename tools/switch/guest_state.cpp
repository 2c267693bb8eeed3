// SPDX-License-Identifier: BSD-3-Clause
// GuestState: "VHXSWTCH", u32 version, u32 stations, and 8 bytes of each: the address as on the wire, u16 age in
// seconds. Numbers are little-endian.
#include "tools/switch/guest_state.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

namespace vhostx::tools {
namespace {

constexpr std::string_view magic = "VHXSWTCH";
constexpr std::uint32_t version = 1;
constexpr std::size_t header_bytes = magic.size() + 8;
constexpr std::size_t station_bytes = 8;
constexpr unsigned mac_bits = 48;
static_assert(guest_state_bytes_max == header_bytes + station_bytes * guest_state_stations_max);

struct Station {
  std::uint64_t mac = 0;
  unsigned age_s = 0;
};

template <typename Number>
void put(std::vector<std::byte>& to, Number number) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(&number);
  to.insert(to.end(), bytes, bytes + sizeof number);
}

/// The caller has checked that there are enough bytes.
template <typename Number>
Number take(std::span<const std::byte>& from) noexcept {
  Number number;
  std::memcpy(&number, from.data(), sizeof number);
  from = from.subspan(sizeof number);
  return number;
}

template <typename... Values>
Error refused(fmt::format_string<Values...> text, Values&&... values) {
  return Error{ErrorCode::protocol_violation, fmt::format(text, std::forward<Values>(values)...), 0};
}

/// The bytes of the stations.
Result<std::span<const std::byte>> check_header(std::span<const std::byte> bytes) {
  if (bytes.size() < header_bytes || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
    return refused("{} bytes that do not begin with {}: no state of a vhostx-switch", bytes.size(), magic);
  bytes = bytes.subspan(magic.size());
  if (const auto found = take<std::uint32_t>(bytes); found != version)
    return refused("the state is of version {}, expected {}", found, version);
  const auto stations = take<std::uint32_t>(bytes);
  if (stations > guest_state_stations_max)
    return refused("the state has {} addresses, expected at most {}", stations, guest_state_stations_max);
  if (bytes.size() != stations * station_bytes)
    return refused("the state has {} bytes for {} addresses, expected {}", bytes.size(), stations,
                   stations * station_bytes);
  return bytes;
}

Result<std::vector<Station>> parse(std::span<const std::byte> bytes) {
  auto rest = check_header(bytes);
  if (!rest) return rest.error();
  std::vector<Station> stations;
  stations.reserve(rest->size() / station_bytes);
  while (!rest->empty()) {
    const auto word = take<std::uint64_t>(*rest);
    const Station station{word & ((std::uint64_t{1} << mac_bits) - 1), static_cast<unsigned>(word >> mac_bits)};
    if (station.mac == 0 || is_group(station.mac))
      return refused("address {} of the state, {:#014x}, is no station's", stations.size(), station.mac);
    stations.push_back(station);
  }
  return stations;
}

}  // namespace

std::vector<std::byte> save_guest_state(const MacTable& macs, std::uint16_t port) {
  auto stations = macs.stations_of(port);
  std::sort(stations.begin(), stations.end(), [](const auto& a, const auto& b) { return a.age_s < b.age_s; });
  stations.resize(std::min(stations.size(), guest_state_stations_max));
  std::vector<std::byte> bytes;
  bytes.reserve(header_bytes + stations.size() * station_bytes);
  for (const char c : magic) bytes.push_back(static_cast<std::byte>(c));
  put(bytes, version);
  put(bytes, static_cast<std::uint32_t>(stations.size()));
  for (const auto& station : stations) put(bytes, station.mac | std::uint64_t{station.age_s} << mac_bits);
  return bytes;
}

/// The youngest come first: if there is no room for all, it is theirs.
Result<LoadedStations> load_guest_state(MacTable& macs, const AddressRules& rules, std::uint16_t port,
                                        std::span<const std::byte> bytes) {
  const auto stations = parse(bytes);
  if (!stations) return stations.error();
  LoadedStations loaded;
  for (const auto& station : *stations) {
    if (!rules.allows(station.mac, port)) {
      ++loaded.foreign;
      continue;
    }
    macs.restore(station.mac, port, station.age_s);
    ++(macs.lookup(station.mac) == port ? loaded.learned : loaded.others);
  }
  return loaded;
}

}  // namespace vhostx::tools
