// SPDX-License-Identifier: BSD-3-Clause
// Counters as C has them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace vhostx::c {

/// Writes the first `count` counters; those that the library does not have become 0. Returns how many it has of them.
template <std::size_t Size>
std::size_t write_counters(const std::array<std::uint64_t, Size>& from, std::uint64_t* values,
                           std::size_t count) noexcept {
  const std::size_t known = std::min(count, Size);
  std::copy_n(from.begin(), known, values);
  std::fill(values + known, values + count, 0);
  return known;
}

}  // namespace vhostx::c
