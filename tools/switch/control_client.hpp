// SPDX-License-Identifier: BSD-3-Clause
// vhostx-switch ctl: one request to a switch that runs. Needs no EAL.
#pragma once

#include "tools/switch/control_options.hpp"

namespace vhostx::tools {

/// Sends the request and prints what comes. Returns the exit status: 0 done, 1 refused, or no switch there. A stream of
/// events ends with the switch, or by a signal.
int run_control_client(const ControlOptions& options);

}  // namespace vhostx::tools
