// SPDX-License-Identifier: BSD-3-Clause
// Two contenders for one case, measured in alternation: ratios of neighbouring rounds stand where times swing.
#pragma once

#include <string>

#include "tests/bench/bench_cases.hpp"
#include "tests/bench/round_meter.hpp"
#include "tools/bench/statistics.hpp"

namespace vhostx::bench {

struct Comparison {
  std::string first;              ///< What was measured ...
  std::string second;             ///< ... against what.
  tools::bench::Spread first_ns;  ///< A packet.
  tools::bench::Spread second_ns;
  tools::bench::Spread ratio;  ///< First to second, of each pair of rounds.
  double target = 0;           ///< Of the ratio; 0: none is set.
};

enum class Peer {
  rte_vhost,
  vhostx,    ///< Itself: the ratio shall be 1, or the measurement is worth nothing.
  unlogged,  ///< Itself without the dirty log, in cases with it.
};

/// vhostx against the peer on the same guest's rings; where the case has many regions, vhostx against itself with one.
/// Each sitting has a guest and back-ends of its own: where memory happens to lie makes a difference.
Comparison compare(RoundMeter& meter, const BenchCase& bench_case, Peer peer, int sittings);

}  // namespace vhostx::bench
