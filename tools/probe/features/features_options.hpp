// SPDX-License-Identifier: BSD-3-Clause
// The command line of `vhostx-probe features`.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace vhostx::tools::probe {

struct FeaturesOptions {
  std::string words = "all";
  bool protocol = false;  ///< Protocol features, not virtio's.
  bool json = false;
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_features_command(CLI::App& app, FeaturesOptions& options);

/// Runs it; what main() returns.
int run_features(const FeaturesOptions& options);

}  // namespace vhostx::tools::probe
