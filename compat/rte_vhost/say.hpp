// SPDX-License-Identifier: BSD-3-Clause
// What this library has to say, in DPDK's log.
#pragma once

#include <atomic>
#include <string_view>

#include <vhostx/log.hpp>

namespace vhostx::compat {

/// One line, of log type "lib.vhost.vhostx". Not for the data path.
void say(LogLevel level, std::string_view line);

/// Whether lines of level debug are wanted (EAL option --log-level=lib.vhost.vhostx:debug).
bool says_all();

/// A request that cannot be served. Says so the first time that `said` is seen, and is -1.
int refuse(std::atomic<bool>& said, const char* function, const char* why);

}  // namespace vhostx::compat
