// SPDX-License-Identifier: BSD-3-Clause
// Where the switch's log goes: standard error.
#pragma once

#include <functional>
#include <string_view>

#include <vhostx/log.hpp>

namespace vhostx::tools {

/// Writes the line to standard error where that takes it at once, unless it is below log_level(). The control thread
/// says it, and must not wait for whoever reads: lines that find no room are counted, and the next one that does says
/// how many were lost. Any thread.
void log_line(LogLevel level, std::string_view line) noexcept;

/// From now on `take` gets the lines instead, one at a time, on any thread; it neither waits nor logs. An empty one:
/// back to standard error, and no call of the one before is in progress any more.
void send_log_to(std::function<void(std::string_view line)> take);

}  // namespace vhostx::tools
