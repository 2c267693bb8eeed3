// SPDX-License-Identifier: BSD-3-Clause
// The command line of `vhostx-probe query`.
#pragma once

#include <chrono>
#include <string>

namespace CLI {
class App;
}

namespace vhostx::tools::probe {

struct QueryOptions {
  std::string path;
  std::chrono::milliseconds timeout{5000};  ///< For each reply.
  bool force = false;                       ///< Connects though another front-end is connected.
  bool json = false;
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_query_command(CLI::App& app, QueryOptions& options);

/// Runs it; what main() returns.
int run_query(const QueryOptions& options);

}  // namespace vhostx::tools::probe
