// SPDX-License-Identifier: BSD-3-Clause
// The cases that are measured: one table for bench_data_path, compare_rte_vhost and count_packets.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tests/bench/bench_guest.hpp"

namespace vhostx::bench {

/// idle: a dequeue while the guest sends nothing.
enum class Call { dequeue, enqueue, idle };

struct BenchCase {
  Call call = Call::dequeue;
  const char* shape = "";  ///< What differs from one descriptor a packet, one region, mergeable, bursts of 32.
  BenchOptions options;
  static constexpr std::uint16_t turn_max = 32;
  std::uint16_t burst = turn_max;  ///< A divisor of turn_max.
  double ratio_target = 0;         ///< Time to rte_vhost's, or with many regions to that with one. 0: none is set.

  bool has_many_regions() const { return options.regions > 1; }
  /// Packets that the guest posts before the back-end takes them.
  std::uint16_t turn() const { return turn_max; }
  /// What a turn's cost is divided by: its packets; an idle poll is a poll.
  std::uint16_t units() const { return call == Call::idle ? 1 : turn(); }
  /// dequeue_64, enqueue_64_indirect, idle, ...
  std::string name() const;
};

std::span<const BenchCase> bench_cases();
/// nullptr: there is none of that name.
const BenchCase* find_bench_case(const std::string& name);

}  // namespace vhostx::bench
