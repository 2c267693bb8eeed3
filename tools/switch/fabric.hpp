// SPDX-License-Identifier: BSD-3-Clause
// Fabric: everything the workers share: ports, lanes, the MAC table, the pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "tools/switch/mac_table.hpp"
#include "tools/switch/options.hpp"
#include "tools/switch/switch_port.hpp"

struct rte_mempool;

namespace vhostx::tools {

/// Made before the workers start and gone after they ended; its vectors do not change in between.
struct Fabric {
  Mode mode = Mode::learning;
  Topology topology = Topology::paired;
  rte_mempool* pool = nullptr;
  std::unique_ptr<MacTable> macs;
  std::vector<std::unique_ptr<SwitchPort>> ports;
  std::vector<std::unique_ptr<RxLane>> lanes;
  std::uint32_t tx_queues = 0;
  std::atomic<std::uint32_t> lanes_version{0};  ///< Grows after a lane's `receives` or `sends` changed.

  /// Where io and mac send what came in at `port`, as testpmd pairs them: 0-1, 2-3; a lone last one with itself.
  std::uint16_t peer_of(std::uint16_t port) const noexcept {
    if (topology == Topology::loop) return port;
    const auto peer = static_cast<std::uint16_t>(port ^ 1u);
    return peer < ports.size() ? peer : port;
  }
};

}  // namespace vhostx::tools
