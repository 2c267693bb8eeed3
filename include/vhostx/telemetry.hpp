// SPDX-License-Identifier: BSD-3-Clause
// Ports in DPDK's telemetry, for dpdk-telemetry.py and similar clients. This is a separate library (vhostx::telemetry,
// -lvhostx_telemetry), because it links librte_telemetry. vhostx.hpp does not include this header.
#pragma once

#include <memory>
#include <string>

#include <vhostx/export.hpp>
#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx {

namespace telemetry {
class NamedPort;
}

/// Publishes a Port under a name in the DPDK telemetry of this process, for the lifetime of the object. The commands:
///
///     /vhostx/list[,FIRST]         names of the ports
///     /vhostx/port,NAME            most of PortInfo, some of PortOptions, counters of both directions
///     /vhostx/vring,NAME,INDEX     state, kick descriptor, counters, loans, placement
///     /vhostx/memory,NAME[,FIRST]  regions of guest memory and their NUMA nodes
///     /vhostx/numa,NAME[,FIRST]    placement of started vrings
///
/// Fields have the names of the JSON of vhostx-switch. Telemetry of DPDK 22.11 has no booleans and no null: flags are 0
/// or 1, an unknown node is -1. An answer has at most 16 KiB. If it has the field `next`, there is more: ask again with
/// that value as FIRST. The answer to a request that cannot be served is {"error": reason}.
///
/// The first publish() registers the commands; they stay until the process ends. They cost the data path nothing.
///
/// Threads: any thread may call all functions, before or after rte_eal_init(). Requests are answered on DPDK's
/// telemetry threads, which do not wait for a thread of vhostx.
class VHOSTX_EXPORT PublishedPort {
 public:
  /// Publishes a port. `name`: 1 to 127 bytes of printable ASCII; empty: the port's socket path. The Port must outlive
  /// the returned object. Errors: invalid_argument (the name), busy (another port has that name), limit (DPDK accepts
  /// no more commands), out_of_memory.
  static Result<PublishedPort> publish(Port& port, std::string name = {});

  /// The other object is empty afterwards.
  PublishedPort(PublishedPort&&) noexcept;
  /// Withdraws the port that this object published before; the other object is empty afterwards.
  PublishedPort& operator=(PublishedPort&&) noexcept;
  /// Withdraws the port. Waits for a request about it that is being answered. An event handler of the Port may call
  /// this.
  ~PublishedPort();

  /// The name under which the port is published; empty after a move from this object.
  const std::string& name() const noexcept;

 private:
  explicit PublishedPort(std::shared_ptr<telemetry::NamedPort> named) noexcept;
  void withdraw() noexcept;

  std::shared_ptr<telemetry::NamedPort> named_;
};

}  // namespace vhostx
