// SPDX-License-Identifier: BSD-3-Clause
// The command line of `vhostx-probe listen`.
#pragma once

#include <string>

#include "tools/probe/listen/stand_in.hpp"
#include "tools/probe/trace/trace_options.hpp"

namespace vhostx::tools::probe {

struct ListenOptions {
  std::string listen;
  bool once = false;
  StandInOptions back_end{stand_in_features(), stand_in_protocol_features()};
  ShowOptions show;
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_listen_command(CLI::App& app, ListenOptions& options);

/// Runs it; what main() returns.
int run_listen(const ListenOptions& options);

}  // namespace vhostx::tools::probe
