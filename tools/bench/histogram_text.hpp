// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "tools/bench/latency_histogram.hpp"

namespace vhostx::tools::bench {

/// Rows of "from, to, share, bar", each ended by a newline, none longer than `width` columns (which is 40 at least),
/// two dozen at most. Where the bulk of the times is, from the 5th to the 90th percentile, rows are equal parts of a
/// power of two (or some of them), as fine as 14 rows allow; on either side of it each is twice as wide as the one
/// before. Empty without times.
std::string histogram_text(const LatencyHistogram& histogram, unsigned width);

}  // namespace vhostx::tools::bench
