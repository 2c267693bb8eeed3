// SPDX-License-Identifier: BSD-3-Clause
// The command line of `vhostx-probe report`.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace vhostx::tools::probe {

struct ReportOptions {
  std::string path;  ///< The record; "-": standard input.
  std::string html;  ///< Where the page goes; "-": standard output.
};

/// Adds the subcommand; `options`, which must live as long as `app`, is filled when it is parsed.
CLI::App* add_report_command(CLI::App& app, ReportOptions& options);

/// Runs it; what main() returns.
int run_report(const ReportOptions& options);

}  // namespace vhostx::tools::probe
