// SPDX-License-Identifier: BSD-3-Clause
// The signals that the switch takes, one after the other.
#pragma once

#include "base/unique_fd.hpp"

namespace vhostx::tools {

/// SIGINT, SIGTERM, SIGHUP (where that is not ignored, as under nohup), SIGWINCH and SIGTSTP as a descriptor. Call
/// before any other thread exists.
UniqueFd catch_switch_signals();

enum class SwitchSignal {
  none,     ///< No further signal.
  end,      ///< SIGINT, SIGTERM, or SIGHUP because the terminal is gone.
  hang_up,  ///< SIGHUP from somebody: a request to read a configuration again, which the switch does not have.
  resized,  ///< The terminal has another size.
  stop      ///< Ctrl-Z.
};
SwitchSignal next_signal(const UniqueFd& signals);

}  // namespace vhostx::tools
