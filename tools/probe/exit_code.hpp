// SPDX-License-Identifier: BSD-3-Clause
// How every subcommand ends.
#pragma once

#include <string>

namespace vhostx::tools::probe {

/// What main() returns; documented in --help.
enum class ExitCode : int {
  good = 0,
  failed = 1,  ///< The peer could not be reached or said what it must not; a check failed; a file cannot be read.
  usage = 2,   ///< The command line was wrong.
  in_use = 3,  ///< Another front-end is connected, and --force was not given.
};

/// Prints "vhostx-probe: SUBJECT: MESSAGE" on standard error.
int fail(const std::string& subject, const std::string& message, ExitCode code = ExitCode::failed);
/// Prints on standard output; `failed` when that cannot take it.
int print(const std::string& text);

}  // namespace vhostx::tools::probe
