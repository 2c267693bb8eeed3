// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace vhostx::bench {

/// The mean of what lies between the quartiles: what a busy machine adds to some of the values does not move it.
/// `values` is not empty.
double middle_mean(std::vector<std::uint64_t> values);

}  // namespace vhostx::bench
