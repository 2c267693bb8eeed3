// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/round_meter.hpp"

#include <rte_cycles.h>

#include "tests/bench/middle_mean.hpp"
#include "tests/bench/turns.hpp"

namespace vhostx::bench {
namespace {

double nanoseconds(double ticks) { return ticks * 1e9 / static_cast<double>(rte_get_tsc_hz()); }

}  // namespace

RoundMeter::RoundMeter(rte_mempool* pool) : pool_(pool) {
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t begin = rte_rdtsc_precise();
    ticks_.push_back(rte_rdtsc_precise() - begin);
  }
  overhead_ticks_ = middle_mean(ticks_);
}

double RoundMeter::overhead_ns() const { return nanoseconds(overhead_ticks_); }

double RoundMeter::round(BenchGuest& guest, MeasuredBackEnd& back_end, const BenchCase& bench_case) {
  Turns turns(pool_, bench_case);
  ticks_.clear();
  for (std::uint32_t packets = 0; packets < BenchGuest::index_period; packets += bench_case.turn()) {
    turns.guest_turn(guest);
    // The fences of rte_rdtsc_precise keep the guest's turn out of the measured one.
    const std::uint64_t begin = rte_rdtsc_precise();
    const std::uint16_t moved = turns.back_end_turn(back_end);
    ticks_.push_back(rte_rdtsc_precise() - begin);
    turns.finish_turn(back_end, moved);
  }
  return nanoseconds(middle_mean(ticks_) - overhead_ticks_) / bench_case.units();
}

}  // namespace vhostx::bench
