// SPDX-License-Identifier: BSD-3-Clause
// What grows with the number of ports and queue pairs.
#pragma once

#include <cstdint>

#include "tests/bench/process_memory.hpp"
#include "tools/bench/statistics.hpp"

namespace vhostx::bench {

/// Nanoseconds an idle vring costs that is polled in turn with those of `ports` ports, each with an idle guest.
double idle_poll_ns(int ports);

struct PortMemory {
  ProcessMemory idle;       ///< A port with nobody on it.
  ProcessMemory connected;  ///< One with a guest, its vrings started.
  double idle_fds = 0;
  double connected_fds = 0;
};
/// A port's share, of `ports`. Forks: before anything starts a thread.
PortMemory memory_a_port(int ports, std::uint16_t queue_pairs);

struct FirstPacket {
  tools::bench::Spread connect_ms;  ///< The front-end's messages, until the last is answered.
  tools::bench::Spread
      first_packet_ms;  ///< From the start of connecting until every queue pair has carried a packet each way.
  int queue_pairs_served = 0;
};
/// A front-end in this process connects so many times to one port.
FirstPacket time_to_first_packet(int connects, std::uint16_t queue_pairs);

}  // namespace vhostx::bench
