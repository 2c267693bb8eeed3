// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-switch: CLI11 does the words, the rules are here.
#include "tools/switch/options.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <net/if.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/common/help.hpp"
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
  double numa_interval_ms = 0;
  std::string metrics;
};

void declare(CLI::App& app, Raw& raw, Options& options) {
  app.add_option("--port", raw.ports, "A vhost-user socket: PATH[,KEY=VALUE]..., keys below; again for each port")
      ->allow_extra_args(false)
      ->type_name("PORT");
  app.add_option("--mode", raw.mode, "switch (default), io, mac, rxonly, txonly")
      ->type_name("MODE")
      ->check(CLI::IsMember(std::vector<std::string>{"switch", "io", "mac", "rxonly", "txonly"}));
  app.add_option("--topology", raw.topology, "io and mac: paired (0-1, 2-3, ...; default) or loop (each on itself)")
      ->type_name("HOW")
      ->check(CLI::IsMember(std::vector<std::string>{"paired", "loop"}));
  app.add_option("--packet-size", options.packet_size, "txonly: bytes of a packet without FCS, 60 to 65535 (64)")
      ->type_name("N")
      ->check(CLI::Range(60, 65535));
  app.add_option("--duration", raw.duration_s, "End after so many seconds")->type_name("S");
  app.add_option("--stats", raw.stats_s, "Print statistics every so many seconds")->type_name("S");
  app.add_option("--event-rate", options.event_rate,
                 fmt::format("Events a second that are told of a port, 1 to {} ({}); four times as many at once",
                             EventQueue::per_second_max, EventQueue::per_second_default))
      ->type_name("N")
      ->check(CLI::Range(1u, EventQueue::per_second_max));
  app.add_flag("--json", options.json, "One JSON object a line on standard output, for programs");
  app.add_option("--tap", options.tap, "A kernel TAP interface as one more port")->type_name("NAME");
  app.add_flag("--busy-poll", options.busy_poll, "Workers poll for ever instead of sleeping when idle");
  app.add_option("--workers", raw.workers, fmt::format("Worker lcores, 1 to {}", workers_max))
      ->type_name("N")
      ->check(CLI::Range(1u, workers_max));
  app.add_option(
         "--numa-interval", raw.numa_interval_ms,
         "Milliseconds between two looks at which NUMA nodes guests' memory is on, 10 to 86400000 (500); 0: only "
         "when rings start and memory changes")
      ->type_name("MS");
  app.add_option("--control", options.control,
                 "A Unix socket (mode 0600) for `vhostx-switch ctl`, which adds and removes ports, shows addresses, "
                 "follows events")
      ->type_name("PATH");
  app.add_option("--metrics", raw.metrics,
                 "Serve GET /metrics for Prometheus at unix:PATH, 127.0.0.1:PORT or [::1]:PORT (loopback only; port 0: "
                 "one that is free)")
      ->type_name("WHERE");
}

Result<void> take_seconds(const CLI::App& app, const char* name, double value, std::optional<double>& out) {
  if (app.count(name) == 0) return {};
  if (!(value >= 0.01 && value <= 1e9))
    return bad(fmt::format("{} is {}: expected seconds, 0.01 to 1000000000", name, value));
  out = value;
  return {};
}

Result<void> take_numa_interval(const CLI::App& app, double value, Options& options) {
  if (app.count("--numa-interval") == 0) return {};
  const bool whole = value == std::floor(value);
  if (value != 0 && !(whole && value >= 10 && value <= 86'400'000))
    return bad(fmt::format("--numa-interval is {}: expected 0, or 10 to 86400000 whole milliseconds", value));
  options.numa_interval = std::chrono::milliseconds(static_cast<std::int64_t>(value));
  return {};
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

Result<void> apply_rules(const CLI::App& app, const Raw& raw, Options& options) {
  options.mode = mode_names.at(raw.mode);
  options.topology = topology_names.at(raw.topology);
  if (app.count("--workers") != 0) options.workers = raw.workers;
  if (app.count("--tap") != 0)
    if (auto checked = check_tap_name(options.tap.empty() ? "/" : options.tap); !checked) return checked;
  if (auto taken = take_seconds(app, "--duration", raw.duration_s, options.duration_s); !taken) return taken;
  if (auto taken = take_seconds(app, "--stats", raw.stats_s, options.stats_s); !taken) return taken;
  if (auto taken = take_numa_interval(app, raw.numa_interval_ms, options); !taken) return taken;
  if (app.count("--control") != 0)
    if (auto checked = check_control_path(options.control); !checked) return checked;
  if (app.count("--metrics") != 0) {
    auto address = parse_metrics_address(raw.metrics);
    if (!address) return address.error();
    options.metrics = *std::move(address);
  }
  return take_ports(raw, options);
}

EarlyExit refused(std::string_view message) {
  return {2, fmt::format("vhostx-switch: {}\nSee vhostx-switch --help.\n", message)};
}

}  // namespace

const char* to_string(Mode mode) noexcept {
  for (const auto& [name, value] : mode_names)
    if (value == mode) return name.c_str();
  return "unknown";
}

std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  Raw raw;
  CLI::App app{"A learning Ethernet switch between vhost-user ports, kernel TAP included", "vhostx-switch"};
  set_help(app, "[EAL options --] --port PATH[,KEY=VALUE]... ... [options]");  // CLI11 knows nothing of EAL's part
  app.footer(
      port_keys_help() +
      "\nvhostx-switch ctl --help: commands for a switch that runs with --control.\n"
      "\nEverything before the first -- goes to DPDK's EAL; without it the switch chooses (no PCI, in memory, huge "
      "pages where enough are free).\nCtrl-C ends it with a summary.");
  app.set_version_flag("--version", "vhostx-switch " VHOSTX_VERSION);
  declare(app, raw, options);

  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  auto own = arguments;
  if (separator != arguments.end()) {
    options.eal_arguments.assign(arguments.begin(), separator);
    own.assign(separator + 1, arguments.end());
  }
  std::reverse(own.begin(), own.end());  // CLI11 takes a vector from its end
  try {
    app.parse(own);
  } catch (const CLI::CallForHelp&) {
    return EarlyExit{0, app.help()};
  } catch (const CLI::CallForVersion& version) {
    return EarlyExit{0, std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    return refused(error.what());
  }
  if (auto applied = apply_rules(app, raw, options); !applied) return refused(applied.error().message);
  return options;
}

}  // namespace vhostx::tools
