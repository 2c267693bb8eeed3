// SPDX-License-Identifier: BSD-3-Clause
// ControlRequest: one line that came to the control socket, checked. docs/switch-control.md has the protocol.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <vhostx/result.hpp>

namespace vhostx::tools {

enum class ControlCommand {
  ports,
  add_port,
  remove_port,
  disconnect,
  addresses,
  flush_addresses,
  events,
  log_level,
  stats
};

struct ControlRequest {
  ControlCommand command = ControlCommand::ports;
  std::string argument;  ///< `port` or `level`; empty: not given, and not needed.
};

/// A longer line is refused. Enough for a --port with hundreds of addresses.
inline constexpr std::size_t request_bytes_max = 16384;

/// One JSON object, {"command": NAME} with the command's field. Error: invalid_argument, with what is wrong and what
/// was expected. The line may be anything.
Result<ControlRequest> parse_request(std::string_view line);
/// The line for such a request, without its newline. Text that is no UTF-8 is replaced.
std::string request_line(const ControlRequest& request);

/// As it is written on the line, and after `vhostx-switch ctl`.
const char* to_string(ControlCommand command) noexcept;

}  // namespace vhostx::tools
