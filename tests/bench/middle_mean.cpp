// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/middle_mean.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace vhostx::bench {

double middle_mean(std::vector<std::uint64_t> values) {
  const auto quarter = static_cast<std::ptrdiff_t>(values.size() / 4);
  const auto low = values.begin() + quarter;
  const auto high = values.end() - quarter;
  std::sort(values.begin(), values.end());
  return static_cast<double>(std::accumulate(low, high, std::uint64_t{0})) / static_cast<double>(high - low);
}

}  // namespace vhostx::bench
