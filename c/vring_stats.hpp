// SPDX-License-Identifier: BSD-3-Clause
// Counters as C has them.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vhostx/vring_stats.hpp>

namespace vhostx::c {

/// Writes the first `count` counters; those that the library does not have become 0. Returns how many it has of them.
std::size_t write_counters(const VringStats& stats, std::uint64_t* values, std::size_t count) noexcept;

}  // namespace vhostx::c
