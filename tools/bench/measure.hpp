// SPDX-License-Identifier: BSD-3-Clause
// measure(): measures all sizes in short rounds, with one back-end or two in turn.
#pragma once

#include <vhostx/result.hpp>

#include "tools/bench/options.hpp"
#include "tools/bench/report.hpp"

namespace vhostx::tools::bench {

/// SIGINT and SIGTERM end it after the current round; the report then has what was measured so far.
Result<Report> measure(const Options& options);

}  // namespace vhostx::tools::bench
