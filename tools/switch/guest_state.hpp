// SPDX-License-Identifier: BSD-3-Clause
// GuestState: what the switch knows of a guest, as bytes that move with it when it migrates: the addresses behind its
// port.
//
// The guest's front-end carries the bytes, and can forge them. So what is loaded is taken as so many frames from the
// guest would be: the port's address rule, its share of the table, and later frames from elsewhere stand against it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/switch/address_rules.hpp"
#include "tools/switch/mac_table.hpp"

namespace vhostx::tools {

inline constexpr std::size_t guest_state_stations_max = MacTable::share_max;
inline constexpr std::size_t guest_state_bytes_max = 16 + 8 * guest_state_stations_max;

/// The stations behind `port`, the youngest first; the oldest are left out if there are more than
/// guest_state_stations_max. Any thread.
std::vector<std::byte> save_guest_state(const MacTable& macs, std::uint16_t port);

struct LoadedStations {
  std::size_t learned = 0;  ///< Are behind the port now.
  std::size_t foreign = 0;  ///< The rules do not allow them there.
  std::size_t others = 0;   ///< Aged, without room, or since heard of behind another port.
};

/// The stations are behind `port` from now on, as far as the rules and the table allow it. Any thread, while the rules
/// and the table's shares do not change. Errors: protocol_violation, with what is wrong and what was expected; then
/// nothing was learned.
Result<LoadedStations> load_guest_state(MacTable& macs, const AddressRules& rules, std::uint16_t port,
                                        std::span<const std::byte> bytes);

}  // namespace vhostx::tools
