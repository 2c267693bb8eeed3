// SPDX-License-Identifier: BSD-3-Clause
// Signals that end the switch, as a descriptor to wait for.
#pragma once

#include <initializer_list>

#include "base/unique_fd.hpp"

namespace vhostx::tools {

/// Blocks SIGINT, SIGTERM and SIGHUP (where that is not ignored, as under nohup) for the calling thread and those that
/// it starts, ignores SIGPIPE (a reader that is gone shows at the next write), and returns a signalfd for them; -1 in
/// it where the kernel gives none. Call before any other thread exists.
UniqueFd catch_end_signals();

/// The same for these signals. SIGHUP is left out where it is ignored.
UniqueFd catch_signals(std::initializer_list<int> signals);

}  // namespace vhostx::tools
