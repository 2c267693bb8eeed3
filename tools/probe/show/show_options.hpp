// SPDX-License-Identifier: BSD-3-Clause
// The command line of `vhostx-probe show`.
#pragma once

#include <string>

#include "tools/probe/trace/trace_output.hpp"

namespace CLI {
class App;
}

namespace vhostx::tools::probe {

struct RecordShowOptions {
  std::string record;
  TraceOutputOptions output;
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_show_command(CLI::App& app, RecordShowOptions& options);

/// Runs it; what main() returns.
int run_show(const RecordShowOptions& options);

}  // namespace vhostx::tools::probe
