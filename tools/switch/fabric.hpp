// SPDX-License-Identifier: BSD-3-Clause
// Fabric: everything the workers share: ports, lanes, the MAC table, each other.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tools/switch/address_rules.hpp"
#include "tools/switch/mac_table.hpp"
#include "tools/switch/options.hpp"
#include "tools/switch/switch_port.hpp"

namespace vhostx::tools {

class EventQueue;
class Worker;

/// What a worker has to have room for before lanes and queues become more.
struct Room {
  std::size_t lanes = 0;
  std::size_t tx_queues = 0;
};

/// Made before the workers start and gone after they ended. Ports, lanes, queues, rules and the share of each port
/// change before the workers run, or during a Standstill. A number without a port has a SwitchPort without queues.
struct Fabric {
  Mode mode = Mode::learning;
  Topology topology = Topology::paired;
  std::unique_ptr<MacTable> macs;
  AddressRules rules;
  std::vector<std::unique_ptr<SwitchPort>> ports;
  std::vector<std::unique_ptr<RxLane>> lanes;
  std::uint32_t tx_queues = 0;   ///< TxQueue::index() is below it.
  std::vector<Worker*> workers;  ///< By the numbers that lanes name them with.
  EventQueue* events = nullptr;  ///< Woken when a lane has moved; may be null.
  std::atomic<std::uint32_t> lanes_version{0};
  std::atomic<std::uint32_t> standstill{0};  ///< Odd: workers stand still between two rounds.
  Room room;                                 ///< Standstill's, for the workers that it stops.
  std::atomic<bool> paused{false};           ///< No lane receives, and none will before lanes change.

  /// After a lane's `receives`, `sends`, `wanted` or `worker` changed. Any thread. What follows sees each of those that
  /// was written before an earlier call; so whoever reads `worker` then, and wakes that one, has woken the right one: a
  /// lane that moves meanwhile moves after its new worker can see the change, and wakes it itself.
  void lanes_changed() noexcept { lanes_version.fetch_add(1, std::memory_order_acq_rel); }

  /// Where io and mac send what came in at `port`, as testpmd pairs them: 0-1, 2-3; a lone last one with itself.
  std::uint16_t peer_of(std::uint16_t port) const noexcept {
    if (topology == Topology::loop) return port;
    const auto peer = static_cast<std::uint16_t>(port ^ 1u);
    return peer < ports.size() ? peer : port;
  }
};

}  // namespace vhostx::tools
