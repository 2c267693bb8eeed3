// SPDX-License-Identifier: BSD-3-Clause
// Facts: what is known of the front-end at one path. The control thread notes what happens, the event thread takes it
// and calls the application. Of bounded size, however much happens between two looks: what must not be missed sticks.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <mutex>

#include <vhostx/events.hpp>
#include <vhostx/port.hpp>

#include "compat/rte_vhost/device.hpp"

namespace vhostx::compat {

using QueueSet = std::bitset<queues_max>;

struct Facts {
  std::uint64_t connection = 0;  ///< Counts connections.
  bool connected = false;
  std::uint64_t features = 0;
  QueueSet ready;
  QueueSet enabled;
  QueueSet unready;  ///< Were not ready at some time since the last take().
  QueueSet started;  ///< Have started since the last take().
};

class FactBoard {
 public:
  FactBoard() { kicks_.fill(-1); }

  /// Control thread. False: nothing that the application is told of.
  bool note(Port& port, const PortEvent& event);
  /// All of it, and what sticks begins anew.
  Facts take();
  /// The queue's kick descriptor, under a number of its own: the port closes its own before an application can have
  /// heard of it. The caller's to close. -1: the queue has not started, its driver polls, or the process has no number
  /// left.
  int copy_kick(std::uint16_t index);

 private:
  bool apply(Port& port, const PortEvent& event);

  std::mutex lock_;
  Facts facts_;
  std::array<int, queues_max> kicks_;  // the port's, of queues that run
};

}  // namespace vhostx::compat
