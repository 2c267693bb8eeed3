// SPDX-License-Identifier: BSD-3-Clause
// The command line of `vhostx-probe rings`.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace vhostx::tools::probe {

struct RingsOptions {
  std::string process;  ///< A process number or a socket; empty: `qmp` is given.
  std::string qmp;
  std::optional<int> pid;  ///< QEMU's, with `qmp`.
  std::chrono::milliseconds interval{1000};
  std::uint64_t count = 0;  ///< Refreshes; 0: until it is interrupted.
  std::chrono::milliseconds stuck{2000};
  bool stuck_receive = false;
  bool json = false;
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_rings_command(CLI::App& app, RingsOptions& options);

/// Runs it; what main() returns.
int run_rings(const RingsOptions& options);

}  // namespace vhostx::tools::probe
