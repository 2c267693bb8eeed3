// SPDX-License-Identifier: BSD-3-Clause
// The subcommand "check", from options to exit code.
#pragma once

#include "tools/probe/check/check_options.hpp"

namespace vhostx::tools::probe {

/// The exit code: see ExitCode in tools/probe/options.hpp. Writes to standard output and, of problems, standard error.
int run_check_command(const CheckOptions& options);

}  // namespace vhostx::tools::probe
