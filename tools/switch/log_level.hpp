// SPDX-License-Identifier: BSD-3-Clause
// The level of the switch's log, for --log-level and for `vhostx-switch ctl log-level`.
#pragma once

#include <string_view>

#include <vhostx/log.hpp>
#include <vhostx/result.hpp>

namespace vhostx::tools {

/// Lines below it are not written. At first warning.
LogLevel log_level() noexcept;

/// From the name of a level: debug, info, warning or error. Error: invalid_argument, with what was given and what was
/// expected.
Result<LogLevel> parse_log_level(std::string_view text);

/// Sets the level of log_line(), and of a Backend that is created later. A Backend that exists has a level of its own:
/// PortSet::set_log_level() sets both. Any thread.
void set_log_level(LogLevel level) noexcept;

}  // namespace vhostx::tools
