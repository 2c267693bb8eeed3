// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-switch: CLI11 does the words, the rules are here.
#include "tools/switch/options.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <net/if.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/common/command_line.hpp"
#include "tools/common/help.hpp"
#include "tools/common/values.hpp"
#include "tools/switch/eal_options.hpp"
#include "tools/switch/log_level.hpp"
#include "tools/switch/port_rules.hpp"

namespace vhostx::tools {
namespace {

const std::map<std::string, Mode> mode_names{{"switch", Mode::learning},
                                             {"io", Mode::io},
                                             {"mac", Mode::mac},
                                             {"rxonly", Mode::rxonly},
                                             {"txonly", Mode::txonly}};
const std::map<std::string, Topology> topology_names{{"paired", Topology::paired}, {"loop", Topology::loop}};

Error bad(std::string message) { return Error{ErrorCode::invalid_argument, std::move(message), 0}; }

/// What CLI11 fills in before the rules are looked at.
struct Raw {
  std::vector<std::string> ports;
  std::string mode = "switch";
  std::string topology = "paired";
  double duration_s = 0;
  double stats_s = 0;
  unsigned workers = 0;
  std::uint32_t numa_interval_ms = 0;
  std::string log_level = "warning";
  std::string metrics;
  double keeper_grace_s = 30;
  bool take_over = false;
  bool standby = false;
};

void declare_forwarding(CLI::App& app, Raw& raw, Options& options) {
  app.add_option("--port", raw.ports,
                 "A vhost-user socket: PATH[,KEY=VALUE]... (keys: see below). Repeat it for each port")
      ->allow_extra_args(false)
      ->type_name("PORT");
  app.add_option("--tap", options.tap, "Add a kernel TAP interface as one more port")->type_name("NAME");
  expect_word(app.add_option("--mode", raw.mode,
                             "switch: learn addresses (default). io: forward from port to port. mac: io, with new "
                             "addresses. rxonly: count and drop. txonly: generate packets")
                  ->type_name("switch|io|mac|rxonly|txonly"));
  expect_word(app.add_option("--topology", raw.topology,
                             "For io and mac. paired: between ports 0 and 1, 2 and 3, ... (default). loop: each port "
                             "to itself")
                  ->type_name("paired|loop"));
  expect_whole(app.add_option("--packet-size", options.packet_size,
                              "For txonly: bytes of a packet without FCS, 60 to 65535 (64)")
                   ->type_name("N"),
               60, 65535, "bytes");
}

std::string why_no_numa_interval(const std::string& value) {
  std::uint32_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, number);
  const bool whole = error == std::errc{} && stopped == end;
  if (whole && (number == 0 || (number >= 10 && number <= 86'400'000))) return {};
  return "0, or 10 to 86400000 whole milliseconds";
}

void declare_workers(CLI::App& app, Raw& raw, Options& options) {
  expect_whole(app.add_option("--workers", raw.workers,
                              fmt::format("Threads that forward packets, 1 to {} (1; with EAL options: one on each "
                                          "worker lcore)",
                                          workers_max))
                   ->type_name("N"),
               1, workers_max, "workers");
  app.add_flag("--busy-poll", options.busy_poll, "Workers always poll. Without it they sleep when idle");
  expect(app.add_option("--numa-interval", raw.numa_interval_ms,
                        "Check every MS milliseconds on which NUMA nodes the guests' memory is, 10 to 86400000 (500); "
                        "0: only when rings start and memory changes")
             ->type_name("MS"),
         why_no_numa_interval);
}

void declare_reports(CLI::App& app, Raw& raw, Options& options) {
  expect_number(app.add_option("--duration", raw.duration_s, "End after S seconds")->type_name("S"), 0.01, 1e9,
                "seconds");
  expect_number(app.add_option("--stats", raw.stats_s,
                               "Show statistics every S seconds: in place on a terminal, line by line elsewhere")
                    ->type_name("S"),
                0.01, 1e9, "seconds");
  expect_whole(
      app.add_option("--event-rate", options.event_rate,
                     fmt::format("Print at most N events of each port a second, 1 to {} ({}); up to four times "
                                 "as many at once",
                                 EventQueue::per_second_max, EventQueue::per_second_default))
          ->type_name("N"),
      1, EventQueue::per_second_max, "events a second");
  app.add_flag("--json", options.json, "Print JSON for programs: one object a line on standard output");
  expect_word(app.add_option("--log-level", raw.log_level,
                             "Write log lines of this level and above to standard error (warning)")
                  ->type_name("debug|info|warning|error"));
  app.add_option("--control", options.control,
                 "Listen at this Unix socket (mode 0600) for `vhostx-switch ctl`, which adds and removes ports, shows "
                 "addresses and follows events")
      ->type_name("PATH");
  app.add_option("--keeper", options.keeper,
                 "Have the keeper at this socket (vhostx-keeper) hold the guests' connections: the next vhostx-switch "
                 "with the same ports goes on with them, also after a crash. systemd: the descriptor store of this "
                 "service is the keeper")
      ->type_name("SOCKET|systemd");
  expect_number(
      app.add_option("--keeper-grace", raw.keeper_grace_s,
                     "Seconds that the keeper waits for the next one when this one ends in order, 0 to 86400 (30)")
          ->type_name("S"),
      0, 86400, "seconds");
  app.add_flag(
      "--take-over", raw.take_over,
      "With --keeper: ask the vhostx-switch that serves the ports to hand them over; it ends when this one runs");
  app.add_flag("--standby", raw.standby,
               "With --keeper: get ready and wait until the process that serves the ports has ended, then go on");
  app.add_option("--metrics", raw.metrics,
                 "Serve GET /metrics for Prometheus at unix:PATH, 127.0.0.1:PORT or [::1]:PORT (loopback only; port 0: "
                 "the kernel chooses a free one)")
      ->type_name("WHERE");
}

Result<void> check_tap_name(const std::string& name) {
  const bool legal = name.size() < IFNAMSIZ && name.find_first_of("/ :%") == std::string::npos;
  if (!legal)
    return bad(fmt::format("--tap '{}': expected an interface name of 1 to {} bytes without '/', ':', '%' or spaces",
                           name, IFNAMSIZ - 1));
  return {};
}

Result<void> check_control_path(const std::string& path) {
  if (!path.empty() && path.size() <= socket_path_max && path.front() != '@') return {};
  return bad(fmt::format("--control '{}': expected a path of 1 to {} bytes that does not begin with @", path,
                         socket_path_max));
}

Result<void> take_ports(const Raw& raw, Options& options) {
  PortRules rules(options.mode, options.tap);
  for (const auto& text : raw.ports) {
    auto port = parse_port(text);
    if (!port) return port.error();
    if (auto checked = rules.add(*port); !checked) return checked;
    options.ports.push_back(*std::move(port));
  }
  if (options.ports.empty() && options.control.empty())
    return bad("no port given: expected at least one --port PATH, or --control PATH to add ports later");
  if (options.port_count() > ports_max)
    return bad(fmt::format("{} ports: expected at most {}", options.port_count(), ports_max));
  return {};
}

Result<void> take_claim(const Raw& raw, Options& options) {
  if (!raw.take_over && !raw.standby) return {};
  if (raw.take_over && raw.standby) return bad("--take-over and --standby: expected one of them");
  if (options.keeper.empty())
    return bad(fmt::format("{}: expected --keeper SOCKET, whose keeper knows who serves the ports",
                           raw.take_over ? "--take-over" : "--standby"));
  if (options.keeper == systemd_keeper)
    return bad(
        fmt::format("{}: systemd's store is for one process at a time; expected --keeper SOCKET of a vhostx-keeper",
                    raw.take_over ? "--take-over" : "--standby"));
  options.keeper_claim = raw.take_over ? KeeperClaim::take_over : KeeperClaim::stand_by;
  return {};
}

Result<void> apply_rules(const CLI::App& app, const Raw& raw, Options& options) {
  options.mode = mode_names.at(raw.mode);
  options.topology = topology_names.at(raw.topology);
  options.log_level = *parse_log_level(raw.log_level);
  if (app.count("--workers") != 0) options.workers = raw.workers;
  if (app.count("--tap") != 0)
    if (auto checked = check_tap_name(options.tap.empty() ? "/" : options.tap); !checked) return checked;
  if (app.count("--duration") != 0) options.duration_s = raw.duration_s;
  if (app.count("--stats") != 0) options.stats_s = raw.stats_s;
  if (app.count("--numa-interval") != 0) options.numa_interval = std::chrono::milliseconds(raw.numa_interval_ms);
  if (app.count("--control") != 0)
    if (auto checked = check_control_path(options.control); !checked) return checked;
  options.keeper_grace = std::chrono::milliseconds(static_cast<std::int64_t>(1e3 * raw.keeper_grace_s));
  if (auto claimed = take_claim(raw, options); !claimed) return claimed;
  if (app.count("--metrics") != 0) {
    auto address = parse_metrics_address(raw.metrics);
    if (!address) return address.error();
    options.metrics = *std::move(address);
  }
  return take_ports(raw, options);
}

constexpr const char* footer = R"(
vhostx-switch ctl --help: commands for a switch that runs with --control.

DPDK's EAL: options before the first "--" go to EAL. Without them the switch chooses: no PCI devices, in memory, huge
pages if enough are free.

Ctrl-C ends the switch with a summary. SIGHUP ends it only if its terminal is gone.)";

}  // namespace

const char* to_string(Mode mode) noexcept {
  for (const auto& [name, value] : mode_names)
    if (value == mode) return name.c_str();
  return "unknown";
}

std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  Raw raw;
  CLI::App app{"A learning Ethernet switch between vhost-user ports and kernel TAP interfaces", "vhostx-switch"};
  set_help(app, "[EAL options --] --port PATH[,KEY=VALUE]... ... [options]");  // CLI11 knows nothing of EAL's part
  app.footer(port_keys_help() + footer);
  set_version(app, VHOSTX_VERSION);
  declare_forwarding(app, raw, options);
  declare_workers(app, raw, options);
  declare_reports(app, raw, options);

  auto line = split_line(arguments);
  if (const auto exit = parse_command_line(app, line.own, {about_eal_option, {{"--port", complete_port}}}))
    return *exit;
  if (const auto misplaced = own_option_among(app, line.eal); !misplaced.empty())
    return refused(
        app, fmt::format("{} stands before '--', where the options of DPDK's EAL are: put it after '--'", misplaced));
  options.eal_arguments = std::move(line.eal);
  if (auto applied = apply_rules(app, raw, options); !applied) return refused(app, applied.error().message);
  return options;
}

}  // namespace vhostx::tools
