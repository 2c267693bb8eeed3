// SPDX-License-Identifier: BSD-3-Clause
// RoundMeter: times a library's calls, and nothing else, over a round of turns. Guest and back-end take turns on one
// core.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/bench/bench_cases.hpp"
#include "tests/bench/bench_guest.hpp"
#include "tests/bench/measured_back_end.hpp"

struct rte_mempool;

namespace vhostx::bench {

class RoundMeter {
 public:
  explicit RoundMeter(rte_mempool* pool);

  /// Nanoseconds a packet (or idle poll) over a whole period of the ring's indices, so that another back-end can go on
  /// from there: the mean of the middle half of the turns. What the machine did meanwhile is in the others.
  double round(BenchGuest& guest, MeasuredBackEnd& back_end, const BenchCase& bench_case);

  /// What reading the time-stamp counter twice takes; it is taken off each turn.
  double overhead_ns() const;

 private:
  rte_mempool* pool_;
  std::vector<std::uint64_t> ticks_;
  double overhead_ticks_ = 0;
};

}  // namespace vhostx::bench
