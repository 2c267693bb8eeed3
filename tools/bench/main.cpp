// SPDX-License-Identifier: BSD-3-Clause
// vhostx-bench: a guest in a program, for measuring vhost-user-net back-ends.
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "tools/bench/measure.hpp"
#include "tools/bench/options.hpp"
#include "tools/bench/plot_file.hpp"
#include "tools/bench/plot_svg.hpp"
#include "tools/bench/report.hpp"

namespace {

using namespace vhostx::tools::bench;

int fail(const vhostx::Error& error) {
  fmt::print(stderr, "vhostx-bench: {}\n", error.message);
  return 1;
}

// Exit codes: 0 measured, 1 it could not be or packets were wrong, 2 the command line was.
int run(const Options& options) {
  std::optional<PlotFile> plot;
  if (!options.plot.empty()) {
    auto opened = PlotFile::open(options.plot);
    if (!opened) return fail(opened.error());
    plot.emplace(*std::move(opened));
  }
  const auto report = measure(options);
  if (!report) return fail(report.error());
  fmt::print("{}", options.json ? json_of(*report, options) : text_of(*report, options));
  if (plot)
    if (auto written = plot->write(render_svg(plot_of(*report, options))); !written) return fail(written.error());
  return is_faulty(*report, options) || report->interrupted ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  return vhostx::tools::run_program("vhostx-bench", argc, argv, vhostx::tools::bench::parse_options, run);
}
