// SPDX-License-Identifier: BSD-3-Clause
// vhostx-probe: what a vhost-user socket says.
#include "tools/probe/options.hpp"

namespace {

using namespace vhostx::tools::probe;

struct Run {
  int operator()(const QueryOptions& options) const { return run_query(options); }
  int operator()(const FeaturesOptions& options) const { return run_features(options); }
  int operator()(const ListenOptions& options) const { return run_listen(options); }
  int operator()(const TraceOptions& options) const { return run_trace(options); }
  int operator()(const CheckOptions& options) const { return run_check(options); }
  int operator()(const ReportOptions& options) const { return run_report(options); }
  int operator()(const RingsOptions& options) const { return run_rings(options); }
  int operator()(const KeeperOptions& options) const { return run_keeper(options); }
  int operator()(const RecordShowOptions& options) const { return run_show(options); }
};

}  // namespace

int main(int argc, char** argv) {
  return vhostx::tools::run_program("vhostx-probe", argc, argv, parse_options,
                                    [](const Options& options) { return std::visit(Run{}, options); });
}
