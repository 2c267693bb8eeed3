// SPDX-License-Identifier: BSD-3-Clause
// Facts: what is known of the front-end at one path. The control thread records events, the event thread takes the
// facts and calls the application. The size is bounded, however much happens meanwhile: `unready` and `started` stay
// set until they are taken.
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
  QueueSet unready;  ///< Not ready at some time since the last take().
  QueueSet started;  ///< Started since the last take().
};

class FactBoard {
 public:
  FactBoard() { kicks_.fill(-1); }

  /// Control thread. False: nothing to report to the application.
  bool note(Port& port, const PortEvent& event);
  /// Returns all facts and clears `unready` and `started`.
  Facts take();
  /// A duplicate of the queue's kick descriptor, because the port may close its own before the application knows of it.
  /// The caller closes it. -1: the queue has not started, its driver polls, or the process has no descriptor left.
  int copy_kick(std::uint16_t index);

 private:
  bool apply(Port& port, const PortEvent& event);

  std::mutex lock_;
  Facts facts_;
  std::array<int, queues_max> kicks_;  // the port's, of queues that run
};

}  // namespace vhostx::compat
