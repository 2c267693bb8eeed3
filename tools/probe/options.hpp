// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-probe.
#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "tools/common/program.hpp"
#include "tools/probe/check/check_options.hpp"

namespace vhostx::tools::probe {

struct QueryOptions {
  std::string path;
  std::chrono::milliseconds timeout{5000};  ///< For each reply.
  bool force = false;                       ///< Connects though another front-end is connected.
  bool json = false;
};

/// One of the subcommands.
using Command = std::variant<QueryOptions, CheckOptions>;

/// Pure: the same arguments (without the program's name) give the same answer.
std::variant<Command, EarlyExit> parse_options(const std::vector<std::string>& arguments);

/// What main() returns; documented in --help.
enum class ExitCode : int {
  good = 0,
  failed = 1,  ///< The back-end could not be reached, or said what it must not.
  usage = 2,   ///< The command line was wrong.
  in_use = 3,  ///< Another front-end is connected, and --force was not given.
};

}  // namespace vhostx::tools::probe
