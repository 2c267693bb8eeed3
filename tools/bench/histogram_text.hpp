// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "tools/bench/latency_histogram.hpp"

namespace vhostx::tools::bench {

/// At most two dozen rows of "from, to, share, bar", each ended by a newline and at most `width` columns long (`width`
/// is at least 40). For the bulk of the times, from the 5th to the 90th percentile, rows are equal parts of a power of
/// two (or whole ones), as fine as 14 rows allow. Outside of it each row is twice as wide as the one before. Empty
/// without times.
std::string histogram_text(const LatencyHistogram& histogram, unsigned width);

}  // namespace vhostx::tools::bench
