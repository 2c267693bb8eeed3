// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-switch.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <vhostx/backend.hpp>
#include <vhostx/log.hpp>

#include "tools/common/program.hpp"
#include "tools/switch/event_queue.hpp"
#include "tools/switch/metrics_address.hpp"
#include "tools/switch/port_spec.hpp"

namespace vhostx::tools {

enum class Mode { learning, io, mac, rxonly, txonly };
enum class Topology { paired, loop };

/// The name as it is written after --mode.
const char* to_string(Mode mode) noexcept;

struct Options {
  std::vector<std::string> eal_arguments;  ///< What stood before the first "--"; empty: choose sane ones.
  std::vector<PortSpec> ports;
  Mode mode = Mode::learning;
  Topology topology = Topology::paired;
  std::uint16_t packet_size = 64;    ///< txonly: bytes without FCS.
  std::optional<double> duration_s;  ///< Not given: until a signal.
  std::optional<double> stats_s;     ///< Not given: no live statistics.
  bool json = false;                 ///< One JSON object a line instead of text.
  unsigned event_rate = EventQueue::per_second_default;
  LogLevel log_level = LogLevel::warning;  ///< Of standard error; lines below it are not written.
  bool busy_poll = false;                  ///< Workers never sleep.
  std::optional<unsigned> workers;         ///< Not given: one, or every worker lcore of the EAL options.
  std::optional<std::chrono::milliseconds> numa_interval;  ///< Not given: PortOptions'.
  std::string tap;                                         ///< Name of the TAP interface; empty: none.
  std::string keeper;  ///< Socket of who holds connections, or systemd_keeper; empty: nobody.
  std::chrono::milliseconds keeper_grace{30'000};   ///< How long, when this ends in order.
  KeeperClaim keeper_claim = KeeperClaim::if_free;  ///< Of ports that another process serves.
  std::optional<MetricsAddress> metrics;            ///< Where Prometheus finds them; not given: nowhere.
  std::string control;                              ///< Path of the control socket; empty: none.

  /// Ports of the switch: sockets, and the TAP behind them.
  std::size_t port_count() const noexcept { return ports.size() + (tap.empty() ? 0 : 1); }
};

/// Options::keeper: systemd holds them, in the service's descriptor store.
inline constexpr std::string_view systemd_keeper = "systemd";

/// Ports that one switch may have; MacTable's entries have room for twice as many.
inline constexpr std::size_t ports_max = 256;
inline constexpr unsigned workers_max = 64;

/// Pure: the same arguments (without the program's name) give the same answer.
std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments);

}  // namespace vhostx::tools
