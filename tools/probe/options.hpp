// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-probe.
#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

namespace vhostx::tools::probe {

struct QueryOptions {
  std::string path;
  std::chrono::milliseconds timeout{5000};  ///< For each reply.
  bool force = false;                       ///< Connects though another front-end is connected.
  bool json = false;
};

/// Nothing is to be run: the text for a person, and the exit code (0: --help or --version, 2: bad input).
struct EarlyExit {
  int code = 0;
  std::string text;
};

/// Pure: the same arguments (without the program's name) give the same answer.
std::variant<QueryOptions, EarlyExit> parse_options(const std::vector<std::string>& arguments);

/// What main() returns; documented in --help.
enum class ExitCode : int {
  good = 0,
  failed = 1,  ///< The back-end could not be reached, or said what it must not.
  usage = 2,   ///< The command line was wrong.
  in_use = 3,  ///< Another front-end is connected, and --force was not given.
};

}  // namespace vhostx::tools::probe
