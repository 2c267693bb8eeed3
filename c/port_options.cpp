// SPDX-License-Identifier: BSD-3-Clause
#include "c/port_options.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "c/enumeration.hpp"
#include "c/sized.hpp"
#include "c/state.hpp"

namespace vhostx::c {
namespace {

using std::chrono::milliseconds;

static_assert(static_cast<int>(Role::client) == VHOSTX_ROLE_CLIENT);
static_assert(static_cast<int>(NumaPolicy::report) == VHOSTX_NUMA_REPORT);
static_assert(static_cast<int>(NumaPolicy::off) == VHOSTX_NUMA_OFF);

std::uint32_t in_ms(milliseconds time) noexcept { return static_cast<std::uint32_t>(time.count()); }

PortOptions numbers_of(const vhostx_port_options& from) {
  PortOptions to;
  if (from.socket_path != nullptr) to.socket_path = from.socket_path;
  to.queue_pairs_max = from.queue_pairs_max;
  to.features_masked = from.features_masked;
  to.features_extra = from.features_extra;
  to.protocol_features_extra = from.protocol_features_extra;
  to.memory_slots_max = from.memory_slots_max;
  to.memory_bytes_max = from.memory_bytes_max;
  to.message_timeout = milliseconds(from.message_timeout_ms);
  to.reconnect_delay_min = milliseconds(from.reconnect_delay_min_ms);
  to.reconnect_delay_max = milliseconds(from.reconnect_delay_max_ms);
  to.zero_copy = from.zero_copy;
  to.copy_below = from.copy_below;
  to.loans_max = from.loans_max;
  to.loan_timeout = milliseconds(from.loan_timeout_ms);
  to.numa_interval = milliseconds(from.numa_interval_ms);
  if (from.socket_mode != VHOSTX_SOCKET_MODE_OF_UMASK) to.socket_mode = from.socket_mode;
  if (from.socket_group != VHOSTX_SOCKET_GROUP_OF_PROCESS) to.socket_group = from.socket_group;
  to.listen_fd = from.listen_fd;
  to.count_sizes = from.count_sizes;
  if (from.save_state != nullptr) to.save_state = SaveInC{from.save_state, from.state_user, from.state_bytes_max};
  if (from.load_state != nullptr) to.load_state = LoadInC{from.load_state, from.state_user};
  to.state_bytes_max = from.state_bytes_max;
  to.migrate_stats = from.migrate_stats;
  to.state_interval = milliseconds(from.state_interval_ms);
  return to;
}

}  // namespace

Result<PortOptions> options_of(const vhostx_port_options* given) {
  auto known = read_options(given, options_for_c(PortOptions{}), "vhostx_port_options");
  if (!known) return std::move(known).error();
  const bool unknown = std::ranges::any_of(known->reserved_2, [](std::uint8_t byte) { return byte != 0; });
  if (unknown)
    return make_error(ErrorCode::unsupported,
                      "vhostx_port_options.reserved_2: expected 0, as this library does not know it");
  PortOptions options = numbers_of(*known);
  if (auto good = to_enum("role", known->role, Role::client, options.role); !good) return std::move(good).error();
  if (auto good = to_enum("numa", known->numa, NumaPolicy::off, options.numa); !good) return std::move(good).error();
  return options;
}

vhostx_port_options options_for_c(const PortOptions& options) noexcept {
  // All members by name: an option that is added to C++ has to be added here.
  const auto& [socket_path, role, queue_pairs_max, features_masked, features_extra, protocol_features_extra,
               memory_slots_max, memory_bytes_max, message_timeout, reconnect_delay_min, reconnect_delay_max, zero_copy,
               copy_below, loans_max, loan_timeout, numa, numa_interval, socket_mode, socket_group, listen_fd,
               count_sizes, save_state, load_state, state_bytes_max, migrate_stats, state_interval] = options;
  vhostx_port_options to{};  // also the padding between members
  to.size = sizeof to;
  to.socket_path = socket_path.empty() ? nullptr : socket_path.c_str();
  to.features_masked = features_masked;
  to.features_extra = features_extra;
  to.protocol_features_extra = protocol_features_extra;
  to.memory_bytes_max = memory_bytes_max;
  to.role = static_cast<int>(role);
  to.numa = static_cast<int>(numa);
  to.message_timeout_ms = in_ms(message_timeout);
  to.reconnect_delay_min_ms = in_ms(reconnect_delay_min);
  to.reconnect_delay_max_ms = in_ms(reconnect_delay_max);
  to.copy_below = copy_below;
  to.loan_timeout_ms = in_ms(loan_timeout);
  to.numa_interval_ms = in_ms(numa_interval);
  to.queue_pairs_max = queue_pairs_max;
  to.memory_slots_max = memory_slots_max;
  to.loans_max = loans_max;
  to.zero_copy = zero_copy;
  to.socket_mode = socket_mode.value_or(VHOSTX_SOCKET_MODE_OF_UMASK);
  to.socket_group = socket_group.value_or(VHOSTX_SOCKET_GROUP_OF_PROCESS);
  to.listen_fd = listen_fd;
  to.count_sizes = count_sizes;
  if (const auto* save = save_state.target<SaveInC>()) {
    to.save_state = save->call;
    to.state_user = save->user;
  }
  if (const auto* load = load_state.target<LoadInC>()) to.load_state = load->call;
  to.state_bytes_max = state_bytes_max;
  to.state_interval_ms = in_ms(state_interval);
  to.migrate_stats = migrate_stats;
  return to;
}

}  // namespace vhostx::c
