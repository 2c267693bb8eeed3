// SPDX-License-Identifier: BSD-3-Clause
// Messages of this library in DPDK's log.
#pragma once

#include <atomic>
#include <string_view>

#include <vhostx/log.hpp>

namespace vhostx::compat {

/// One line, of log type "lib.vhost.vhostx". Not for the data path.
void say(LogLevel level, std::string_view line);

/// Whether level debug is enabled (EAL option --log-level=lib.vhost.vhostx:debug).
bool says_all();

/// For a request that cannot be served: logs it the first time that `said` is false, and returns -1.
int refuse(std::atomic<bool>& said, const char* function, const char* why);

}  // namespace vhostx::compat
