// SPDX-License-Identifier: BSD-3-Clause
// What trace and listen have in common: relays whose events are shown, recorded and watched.
#pragma once

#include <string>

#include "tools/probe/session/record.hpp"
#include "tools/probe/trace/relay_loop.hpp"
#include "tools/probe/trace/trace_options.hpp"

namespace vhostx::tools::probe {

/// Until a signal; what main() returns. `back_end` is what records call the other end; `options.tick` is set here.
int observe(RelayLoopOptions options, const ShowOptions& show, const std::string& back_end);

}  // namespace vhostx::tools::probe
