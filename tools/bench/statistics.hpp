// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

namespace vhostx::tools::bench {

/// Median and quartiles. Every spread that this program shows is one.
struct Spread {
  double median = 0;
  double low = 0;   ///< The lower quartile.
  double high = 0;  ///< The upper one.
};

/// Between two values, interpolated. No values: zeros.
Spread spread_of(std::vector<double> values);

}  // namespace vhostx::tools::bench
