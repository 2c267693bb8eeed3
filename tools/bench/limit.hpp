// SPDX-License-Identifier: BSD-3-Clause
// Measures what the hardware allows: the same bytes through a bare ring between two CPUs, with the two copies that a
// guest's packet needs at least (the sender writes it into shared memory, the receiver copies it out).
#pragma once

#include <cstdint>
#include <vector>

#include <vhostx/result.hpp>

namespace vhostx::tools::bench {

struct LimitOptions {
  std::uint32_t packet_bytes = 64;
  int cpu_producer = -1;  ///< -1: not pinned.
  int cpu_consumer = -1;
  double seconds = 0.2;  ///< A round.
  unsigned rounds = 5;
  std::uint16_t ring_size = 256;  ///< A power of two, 2 or more.
  std::uint16_t burst = 32;       ///< Packets published at once; at most half the ring.
};

struct LimitResult {
  std::vector<double> pps;  ///< One a round.
  double cpu_share =
      1;  ///< Share of its CPU's time that a thread got, the lower of both. Below 1: other threads run there.
};

/// Runs two threads and returns when they are done. Error: they cannot run on the requested CPUs.
Result<LimitResult> measure_limit(const LimitOptions& options);

}  // namespace vhostx::tools::bench
