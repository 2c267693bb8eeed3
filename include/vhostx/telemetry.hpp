// SPDX-License-Identifier: BSD-3-Clause
// Ports in DPDK's telemetry: what dpdk-telemetry.py and its like can ask. In a library of its own (vhostx::telemetry,
// -lvhostx_telemetry), because it links librte_telemetry; vhostx.hpp does not bring it.
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

/// A Port under a name in the telemetry of this process, for as long as this lives. The commands:
///
///     /vhostx/list[,FIRST]         names
///     /vhostx/port,NAME            PortInfo, PortOptions in part, counters of both directions
///     /vhostx/vring,NAME,INDEX     state, kick descriptor, counters, loans, placement
///     /vhostx/memory,NAME[,FIRST]  regions of guest memory and the nodes that they are on
///     /vhostx/numa,NAME[,FIRST]    placement of started vrings
///
/// Fields are named as in the JSON of vhostx-switch. Telemetry of DPDK 22.11 has no booleans and no null: flags are 0
/// or 1, an unknown node is -1. An answer has at most 16 KiB: where `next` stands in one there is more, to be asked for
/// with it as FIRST. What cannot be answered is {"error": why}.
///
/// The commands are the process's, are there from the first publish() on, and stay. They cost the data path nothing.
///
/// Threads: all functions from any thread, before or after rte_eal_init. Requests are answered on DPDK's telemetry
/// threads, which wait for no thread of vhostx.
class VHOSTX_EXPORT PublishedPort {
 public:
  /// `name`: 1 to 127 bytes of printable ASCII; empty: the port's socket path. The Port outlives what is returned.
  /// Errors: invalid_argument (the name), busy (another port has it), limit (DPDK takes no more commands),
  /// out_of_memory.
  static Result<PublishedPort> publish(Port& port, std::string name = {});

  /// The other one is empty then.
  PublishedPort(PublishedPort&&) noexcept;
  /// The one that was here before is withdrawn.
  PublishedPort& operator=(PublishedPort&&) noexcept;
  /// Waits for the request of this port that is being answered. Allowed from an event handler of the Port.
  ~PublishedPort();

  /// As it was published.
  const std::string& name() const noexcept;

 private:
  explicit PublishedPort(std::shared_ptr<telemetry::NamedPort> named) noexcept;
  void withdraw() noexcept;

  std::shared_ptr<telemetry::NamedPort> named_;
};

}  // namespace vhostx
