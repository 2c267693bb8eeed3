// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-probe check.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace vhostx::tools::probe {

struct CheckOptions {
  std::string path;                         ///< Empty with `list`.
  std::string second;                       ///< Another port of the back-end: what is sent there arrives at `path`.
  std::vector<std::string> only;            ///< Globs over ids; empty: all.
  std::vector<std::string> groups;          ///< Empty: all.
  std::chrono::milliseconds timeout{5000};  ///< For each reply.
  std::string device = "guess";             ///< "net", "other" or "guess".
  bool list = false;
  bool gentle = false;  ///< Without the group bad-input.
  bool force = false;   ///< Connects though another front-end is connected.
  bool tap = false;
  bool json = false;
  std::optional<std::string> junit;  ///< A file; "-": standard output.
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_check_command(CLI::App& app, CheckOptions& options);

/// Runs it; what main() returns.
int run_check(const CheckOptions& options);

}  // namespace vhostx::tools::probe
