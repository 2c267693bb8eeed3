// SPDX-License-Identifier: BSD-3-Clause
// The command line of `vhostx-probe trace`, and what it shares with `listen`.
#pragma once

#include <string>

#include "tools/probe/trace/trace_output.hpp"

namespace CLI {
class App;
}

namespace vhostx::tools::probe {

/// How what is seen is shown.
struct ShowOptions {
  TraceOutputOptions output;
  bool rings = false;  ///< Live ring state below the messages.
};

struct TraceOptions {
  std::string listen;
  std::string connect;
  bool reverse = false;
  bool once = false;
  bool count_notifications = false;
  ShowOptions show;
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_trace_command(CLI::App& app, TraceOptions& options);
/// --write, --filter, --json, --rings and so on, for a command that shows messages as they come.
void add_show_options(CLI::App& command, ShowOptions& options);
/// --filter and --json.
void add_filter_options(CLI::App& command, TraceOutputOptions& options);

/// Runs it; what main() returns.
int run_trace(const TraceOptions& options);

}  // namespace vhostx::tools::probe
