// SPDX-License-Identifier: BSD-3-Clause
// measure(): all sizes, in short rounds, at one back-end or at two in turn.
#pragma once

#include <vhostx/result.hpp>

#include "tools/bench/options.hpp"
#include "tools/bench/report.hpp"

namespace vhostx::tools::bench {

/// SIGINT and SIGTERM end it after the round that runs; what is in the report then is what was measured.
Result<Report> measure(const Options& options);

}  // namespace vhostx::tools::bench
