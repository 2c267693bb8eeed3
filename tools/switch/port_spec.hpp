// SPDX-License-Identifier: BSD-3-Clause
// PortSpec: what one --port of vhostx-switch asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx::tools {

inline constexpr std::size_t socket_path_max = 107;  ///< Of a socket: sun_path without its terminating zero.

/// How a port's packets are taken: copied; looked at, and copied once from guest to guest where both ports do so; or
/// lent, in modes that neither decide on what is in a packet nor write into it.
enum class ZeroCopy { off, on, lend };

struct PortSpec {
  std::string path;
  Role role = Role::server;
  std::uint16_t queue_pairs = 1;
  ZeroCopy zero_copy = ZeroCopy::on;
  NumaPolicy numa = NumaPolicy::follow;
  std::uint64_t features_extra = 0;           ///< As PortOptions has it.
  std::uint64_t protocol_features_extra = 0;  ///< As PortOptions has it.
  std::optional<std::uint32_t> mode;          ///< Of the socket file.
  std::string group;                          ///< Of the socket file: a name or a number; empty: the process's.
  std::vector<std::uint64_t> macs;  ///< Addresses that are this port's alone, as source_of() has them; none: no rule.
  std::uint64_t memory_bytes_max = 0;  ///< 0: PortOptions'.
  bool state_moves = true;             ///< What is known of a guest moves with it when it migrates (DEVICE_STATE).
};

/// PATH[,KEY=VALUE]...; port_keys_help() has the keys. Errors: invalid_argument, with the text, what is wrong in it and
/// what was expected.
Result<PortSpec> parse_port(std::string_view text);

/// The group's number; nothing where none is given. Asks the system's database of groups. Errors: invalid_argument.
Result<std::optional<std::uint32_t>> group_of(const PortSpec& port);

/// 52:54:00:00:00:02
std::string mac_text(std::uint64_t mac);

/// The keys with their values and what they are for, a line each.
std::string port_keys_help();

/// What may complete a --port that is typed in part, for the shell. Nothing: files, for the path.
std::optional<std::vector<std::string>> complete_port(std::string_view typed);

}  // namespace vhostx::tools
