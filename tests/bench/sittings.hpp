// SPDX-License-Identifier: BSD-3-Clause
// Comparisons measure in sittings, each with a guest of its own.
#pragma once

namespace vhostx::bench {

/// Pairs of rounds a sitting.
inline constexpr int sitting_rounds = 6;

constexpr int sittings_of(int rounds) noexcept { return (rounds + sitting_rounds - 1) / sitting_rounds; }

}  // namespace vhostx::bench
