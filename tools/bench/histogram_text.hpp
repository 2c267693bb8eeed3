// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "tools/bench/latency_histogram.hpp"

namespace vhostx::tools::bench {

/// Rows of "from, to, share, bar", each ended by a newline, none longer than `width` columns (which is 40 at least). A
/// row is a power of two or an equal part of one, as fine as some two dozen rows allow. Empty without times.
std::string histogram_text(const LatencyHistogram& histogram, unsigned width);

}  // namespace vhostx::tools::bench
