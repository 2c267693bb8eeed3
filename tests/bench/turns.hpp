// SPDX-License-Identifier: BSD-3-Clause
// Turns: guest and back-end take turns on one core, as many packets each.
#pragma once

#include <array>
#include <cstdint>

#include "tests/bench/bench_cases.hpp"
#include "tests/bench/bench_guest.hpp"
#include "tests/bench/measured_back_end.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::bench {

/// One turn: guest_turn(), back_end_turn(), finish_turn(). Only the second is the library's. It is one burst, or
/// several small ones: a clock cannot tell how long one of a single packet takes.
class Turns {
 public:
  /// For enqueue it makes a burst of packets, which is offered again and again: warm, as an application's are.
  Turns(rte_mempool* pool, const BenchCase& bench_case);
  ~Turns();
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  void guest_turn(BenchGuest& guest);
  std::uint16_t back_end_turn(MeasuredBackEnd& back_end) {
    std::uint16_t moved = 0;
    while (moved < case_.turn()) {
      const std::uint16_t got = burst(back_end, packets_.data() + moved);
      moved = static_cast<std::uint16_t>(moved + got);
      if (got != case_.burst) break;
    }
    return moved;
  }
  /// Ends the process when the back-end moved another number than the guest posted. Frees what was dequeued.
  void finish_turn(const MeasuredBackEnd& back_end, std::uint16_t moved);

 private:
  std::uint16_t burst(MeasuredBackEnd& back_end, rte_mbuf** packets) {
    return case_.call == Call::enqueue ? back_end.enqueue(packets, case_.burst)
                                       : back_end.dequeue(pool_, packets, case_.burst);
  }

  rte_mempool* pool_;
  const BenchCase& case_;
  std::array<rte_mbuf*, BenchCase::turn_max> packets_{};
};

}  // namespace vhostx::bench
