// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

namespace vhostx::tools::bench {

/// Median and quartiles.
struct Spread {
  double median = 0;
  double low = 0;
  double high = 0;
};

/// Between two values, interpolated. No values: zeros.
Spread spread_of(std::vector<double> values);

}  // namespace vhostx::tools::bench
