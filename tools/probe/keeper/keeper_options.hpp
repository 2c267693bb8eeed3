// SPDX-License-Identifier: BSD-3-Clause
// The command line of `vhostx-probe keeper`.
#pragma once

#include <chrono>
#include <string>

namespace CLI {
class App;
}

namespace vhostx::tools::probe {

struct KeeperOptions {
  std::string path;
  std::chrono::milliseconds timeout{5000};
  bool json = false;
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_keeper_command(CLI::App& app, KeeperOptions& options);

/// Runs it; what main() returns.
int run_keeper(const KeeperOptions& options);

}  // namespace vhostx::tools::probe
