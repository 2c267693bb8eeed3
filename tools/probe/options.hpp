// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-probe: one subcommand and its options.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "tools/common/program.hpp"
#include "tools/probe/check/check_options.hpp"
#include "tools/probe/features/features_options.hpp"
#include "tools/probe/keeper/keeper_options.hpp"
#include "tools/probe/listen/listen_options.hpp"
#include "tools/probe/query/query_options.hpp"
#include "tools/probe/report/report_options.hpp"
#include "tools/probe/rings/rings_options.hpp"
#include "tools/probe/show/show_options.hpp"
#include "tools/probe/trace/trace_options.hpp"

namespace vhostx::tools::probe {

/// One alternative a subcommand.
using Options = std::variant<QueryOptions, FeaturesOptions, ListenOptions, TraceOptions, RecordShowOptions,
                             ReportOptions, RingsOptions, KeeperOptions, CheckOptions>;

/// Pure: the same arguments (without the program's name) give the same answer.
std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments);

}  // namespace vhostx::tools::probe
