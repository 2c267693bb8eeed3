// SPDX-License-Identifier: BSD-3-Clause
// Facts: what is known of the front-end at one path. The control thread notes what happens, the event thread takes it
// and calls the application. Of bounded size, however much happens between two looks: what must not be missed sticks.
#pragma once

#include <bitset>
#include <cstdint>
#include <mutex>

#include <vhostx/events.hpp>

#include "compat/rte_vhost/device.hpp"

namespace vhostx::compat {

using QueueSet = std::bitset<queues_max>;

struct Facts {
  std::uint64_t connection = 0;  ///< Counts connections.
  bool connected = false;
  std::uint64_t features = 0;
  std::uint8_t status = 0;
  QueueSet ready;
  QueueSet enabled;
  QueueSet fallen;   ///< Were not ready since the last look, whatever they are now.
  QueueSet started;  ///< Have started since the last look.
};

class FactBoard {
 public:
  /// Control thread.
  void note(const PortEvent& event);
  /// All of it, and what sticks begins anew.
  Facts take();

 private:
  void apply(const PortEvent& event);

  std::mutex lock_;
  Facts facts_;
};

}  // namespace vhostx::compat
