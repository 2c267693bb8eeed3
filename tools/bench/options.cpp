// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-bench: CLI11 does the words, the rules are here.
#include "tools/bench/options.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <map>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "tools/bench/frame.hpp"
#include "tools/common/command_line.hpp"
#include "tools/common/help.hpp"
#include "tools/common/values.hpp"

namespace vhostx::tools::bench {
namespace {

constexpr std::uint32_t in_flight_max = 1'000'000;  // more than any rings and switches hold
const std::map<std::string, Mode> mode_names{
    {"tx", Mode::tx}, {"rx", Mode::rx}, {"loopback", Mode::loopback}, {"pair", Mode::pair}, {"latency", Mode::latency}};

/// What CLI11 fills in before the rules are looked at.
struct Raw {
  std::vector<std::string> connect;
  std::string a, b, label_a, label_b;
  int pid_a = 0, pid_b = 0;
  std::vector<std::string> sockets;
  std::string mode, sizes = "64", check = "full", log;
  double timeout_s = 10;
  bool indirect = false, two = false;
  std::uint32_t in_flight = 0;
};

void declare_traffic(CLI::App& app, Raw& raw, Options& options) {
  expect_word(app.add_option("--mode", raw.mode,
                             "tx: the guest sends. rx: it receives what the back-end sends. loopback: it gets its own "
                             "packets back (default). pair: from one guest to the other (default with two). latency: "
                             "loopback or pair with few packets in flight")
                  ->type_name("tx|rx|loopback|pair|latency"));
  app.add_option(
         "--sizes,--size", raw.sizes,
         fmt::format("Frame sizes in bytes without FCS, {} to {}, with commas between them (64). 'sweep' stands "
                     "for {}. Above {} the device segments TCP frames. rx: one size, the largest that comes",
                     frame_bytes_min, frame_bytes_max, fmt::join(sweep_sizes, ","), plain_frame_bytes_max))
      ->type_name("N,...");
  expect_number(app.add_option("--duration", options.duration_s, "Seconds for each size (2)")->type_name("S"), 0.01,
                1e6, "seconds");
  expect_whole(app.add_option("--rounds", options.rounds, "Rounds that the duration is divided into, 1 to 100000 (10)")
                   ->type_name("N"),
               1, 100000, "rounds");
  expect_whole(app.add_option("--burst", options.burst, fmt::format("Packets in a burst, 1 to {} (32)", burst_max))
                   ->type_name("N"),
               1, burst_max, "packets");
  expect_whole(app.add_option("--in-flight", raw.in_flight,
                              fmt::format("Packets of each flow in flight, at most {}; 0: no limit (as many as the "
                                          "receiver has buffers for; latency: 1)",
                                          in_flight_max))
                   ->type_name("N"),
               0, in_flight_max, "packets");
  expect_number(
      app.add_option("--rate", options.rate_pps, "Packets a second, of all flows together (as many as possible)")
          ->type_name("PPS"),
      1, 1e9, "packets a second");
  app.add_flag("--bidirectional", options.bidirectional, "For pair: send both ways");
  expect_word(app.add_option("--check", raw.check,
                             "full: verify all bytes of each packet (default). head: verify number, time and length")
                  ->type_name("full|head"));
  app.add_flag("--rewrite", options.rewrite,
               "Write descriptors, header and payload again for each packet, instead of only what changes");
  app.add_flag("--no-loss", options.no_loss,
               "Exit with 1 if packets are lost (damaged and duplicated packets always do that)");
}

constexpr std::string_view ring_sizes = "a power of two from 8 to 32768 (with --packed, any number from 8 to 32768)";

std::string why_no_ring_size(const std::string& text) {
  std::uint16_t size = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error == std::errc{} && stop == text.data() + text.size() && size >= 8 && size <= 32768) return {};
  return std::string(ring_sizes);
}

void declare_guest(CLI::App& app, Raw& raw, Options& options) {
  GuestOptions& guest = options.guest;
  expect_whole(app.add_option("--queue-pairs", guest.queue_pairs, "Queue pairs, 1 to 128 (1)")->type_name("N"), 1, 128,
               "queue pairs");
  expect(app.add_option("--ring-size", guest.ring_size, fmt::format("Descriptors of a ring, {} (256)", ring_sizes))
             ->type_name("N"),
         why_no_ring_size);
  app.add_flag("--packed", guest.packed, "Use packed rings (VIRTIO_F_RING_PACKED), instead of split ones");
  app.add_flag("--mergeable,!--no-mergeable", guest.mergeable, "Large packets may use several receive buffers (yes)");
  app.add_flag("--two-descriptors", raw.two, "Put header and data in one descriptor each");
  app.add_flag("--indirect", raw.indirect, "Put header and data in an indirect table");
  app.add_flag("--event-idx", guest.event_idx, "Negotiate VIRTIO_F_EVENT_IDX");
  app.add_flag("--legacy", guest.legacy, "Do not negotiate VIRTIO_F_VERSION_1");
  app.add_flag("--interrupt", options.interrupt, "Sleep until the back-end calls, instead of polling");
  expect_whole(app.add_option("--regions", guest.regions, "Regions of guest memory, 1 to 4096 (1)")->type_name("N"), 1,
               4096, "regions");
  expect_whole(app.add_option("--receive-buffer", guest.receive_buffer_bytes,
                              "Bytes of a receive buffer with its header, 64 to 1048576 (by the largest frame)")
                   ->type_name("N"),
               64, 1 << 20, "bytes");
}

CLI::Option* add_cpu(CLI::App& app, const char* name, int& cpu, const char* text) {
  return expect_whole(app.add_option(name, cpu, text)->type_name("N"), 0, 4095, "a CPU");
}

void declare_run(CLI::App& app, Raw& raw, Options& options) {
  expect_number(app.add_option("--timeout", raw.timeout_s,
                               "Seconds to wait for the back-end, for the first packet, and for the last packets of a "
                               "round (10)")
                    ->type_name("S"),
                0.01, 1e6, "seconds");
  add_cpu(app, "--cpu", options.cpu, "Run on this CPU");
  app.add_flag("--limit", options.limit,
               "Also measure how fast the same bytes go through a bare ring from --cpu to --limit-cpu");
  add_cpu(app, "--limit-cpu", options.limit_cpu, "The back-end's CPU, which is not --cpu");
  app.add_flag("--json", options.json, "Print JSON for programs: one object on standard output");
  app.add_option("--plot", options.plot, "Draw rates over sizes, in packets and in bits a second")
      ->type_name("FILE.svg");
}

CLI::Option* add_pid(CLI::App& app, const char* name, int& pid, const char* text) {
  return expect_whole(app.add_option(name, pid, text)->type_name("PID"), 2, 1 << 30, "a process");
}

void declare_compare(CLI::App& compare, Raw& raw) {
  compare.add_option("sockets", raw.sockets, "A B: one socket of each back-end")->type_name("SOCKET")->expected(0, 2);
  compare.add_option("--a", raw.a, "One or two sockets of the first back-end")->type_name("SOCKET[,SOCKET]");
  compare.add_option("--b", raw.b, "One or two sockets of the second back-end")->type_name("SOCKET[,SOCKET]");
  compare.add_option("--label-a", raw.label_a, "Name of the first back-end in reports (its socket)")->type_name("TEXT");
  compare.add_option("--label-b", raw.label_b, "Name of the second back-end in reports (its socket)")
      ->type_name("TEXT");
  add_pid(compare, "--pid-a", raw.pid_a,
          "Process of the first back-end, stopped (SIGSTOP) while the second is measured");
  add_pid(compare, "--pid-b", raw.pid_b,
          "Process of the second back-end, stopped (SIGSTOP) while the first is measured");
}

Result<void> add_side(Options& options, std::string_view text, const std::string& label, int pid) {
  auto endpoints = parse_endpoints(text);
  if (!endpoints) return endpoints.error();
  std::string shown = label;
  for (const auto& endpoint : *endpoints)
    if (label.empty()) shown += (shown.empty() ? "" : ",") + endpoint.text();
  options.sides.push_back({shown, *std::move(endpoints), pid});
  return {};
}

Result<void> take_sides(const CLI::App& compare, const Raw& raw, Options& options) {
  if (!compare.parsed()) {
    if (raw.connect.empty()) return invalid_argument("no back-end given: expected --connect SOCKET, or compare A B");
    return add_side(options, fmt::format("{}", fmt::join(raw.connect, ",")), "", raw.pid_a);
  }
  if (!raw.connect.empty()) return invalid_argument("--connect does not go with compare: expected compare A B");
  const bool named = !raw.a.empty() || !raw.b.empty();
  if (named ? raw.a.empty() || raw.b.empty() || !raw.sockets.empty() : raw.sockets.size() != 2)
    return invalid_argument("compare: expected two back-ends, either A B or --a SOCKET[,SOCKET] --b SOCKET[,SOCKET]");
  if (auto a = add_side(options, named ? raw.a : raw.sockets[0], raw.label_a, raw.pid_a); !a) return a;
  if (auto b = add_side(options, named ? raw.b : raw.sockets[1], raw.label_b, raw.pid_b); !b) return b;
  if (options.sides[0].endpoints.size() == options.sides[1].endpoints.size()) return {};
  return invalid_argument("compare: {} and {} endpoints: expected as many at each back-end",
                          options.sides[0].endpoints.size(), options.sides[1].endpoints.size());
}

Result<void> take_mode(const Raw& raw, Options& options) {
  const std::size_t ends = options.sides.front().endpoints.size();
  options.mode = !raw.mode.empty() ? mode_names.at(raw.mode) : ends == 2 ? Mode::pair : Mode::loopback;
  if (options.mode == Mode::pair && ends != 2) return invalid_argument("--mode pair: expected two endpoints");
  if (options.mode != Mode::pair && options.mode != Mode::latency && ends != 1)
    return invalid_argument("--mode {}: expected one endpoint, not {}", to_string(options.mode), ends);
  if (options.mode == Mode::rx && options.sizes.size() != 1)
    return invalid_argument("--mode rx: {} sizes: expected one, the largest that comes (the back-end chooses)",
                            options.sizes.size());
  if (options.bidirectional && ends != 2) return invalid_argument("--bidirectional: expected two endpoints");
  return {};
}

/// The guest that migrates is the last one.
Result<void> take_log(const CLI::App& compare, const Raw& raw, Options& options) {
  if (raw.log.empty()) return {};
  if (compare.parsed()) return invalid_argument("--log does not go with compare: expected --connect SOCKET");
  auto places = parse_endpoints(raw.log);
  if (!places) return places.error();
  const EndpointSpec& from = options.sides.front().endpoints.back();
  if (places->size() != 1 || places->front().tap || from.tap)
    return invalid_argument("--log {}: expected one socket, for a guest of --connect that is no TAP", raw.log);
  if (places->front().path == from.path)
    return invalid_argument("--log {}: expected another socket than --connect", raw.log);
  if (options.mode != Mode::loopback && options.mode != Mode::pair)
    return invalid_argument("--log with --mode {}: expected loopback or pair", to_string(options.mode));
  options.log = places->front();
  return {};
}

Result<void> take_guest(const Raw& raw, Options& options) {
  GuestOptions& guest = options.guest;
  if (!guest.packed && !std::has_single_bit(guest.ring_size))
    return invalid_argument("--ring-size is '{}': expected {}", guest.ring_size, ring_sizes);
  if (guest.packed && guest.legacy)
    return invalid_argument("--packed and --legacy: expected one of them, as packed rings need VIRTIO_F_VERSION_1");
  if (raw.two && raw.indirect) return invalid_argument("--two-descriptors and --indirect: expected one of them");
  guest.layout = raw.indirect ? ChainLayout::indirect : raw.two ? ChainLayout::two : ChainLayout::one;
  guest.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(raw.timeout_s * 1e3));
  guest.frame_bytes_max = *std::max_element(options.sizes.begin(), options.sizes.end());
  guest.rewrite = options.rewrite;
  guest.offload = guest.frame_bytes_max > plain_frame_bytes_max;
  return {};
}

/// One CPU, or two that the scheduler chooses, say nothing of what lies between the guests' and the back-end's.
Result<void> check_limit(const Options& options) {
  if (!options.limit || (options.cpu >= 0 && options.limit_cpu >= 0 && options.cpu != options.limit_cpu)) return {};
  const auto given = [](int cpu) { return cpu < 0 ? "not given" : std::to_string(cpu); };
  return invalid_argument("--limit: --cpu is {}, --limit-cpu is {}: expected two different CPUs", given(options.cpu),
                          given(options.limit_cpu));
}

Result<void> apply_rules(const CLI::App& app, const CLI::App& compare, const Raw& raw, Options& options) {
  auto sizes = parse_sizes(raw.sizes);
  if (!sizes) return sizes.error();
  options.sizes = *std::move(sizes);
  if (app.count("--in-flight") + compare.count("--in-flight") != 0) options.in_flight = raw.in_flight;
  options.check_heads = raw.check == "head";
  if (auto taken = take_sides(compare, raw, options); !taken) return taken;
  if (auto taken = take_mode(raw, options); !taken) return taken;
  if (auto taken = take_log(compare, raw, options); !taken) return taken;
  if (auto checked = check_limit(options); !checked) return checked;
  return take_guest(raw, options);
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
  CLI::App app{"A guest in a program: loads any vhost-user-net back-end and checks every packet", "vhostx-bench"};
  set_help(app, "--connect SOCKET [--connect SOCKET] [options]\n   or: vhostx-bench compare A B [options]");
  set_version(app, VHOSTX_VERSION);
  app.add_option(
         "--connect", raw.connect,
         "A back-end's socket (PATH, or PATH,server to listen for it) or a TAP (tap:NAME); twice for two guests")
      ->type_name("SOCKET")
      ->allow_extra_args(false);
  app.add_option(
         "--log", raw.log,
         "In each round, migrate the guest (the second of two) under load with a dirty log: to this socket, of the "
         "same back-end or another, and back")
      ->type_name("SOCKET");
  add_pid(app, "--pid", raw.pid_a, "Process of the back-end, stopped (SIGSTOP) while --limit measures");
  auto* const compare =
      app.add_subcommand("compare", "Two back-ends in alternating rounds, and the ratio of their rates");
  declare_compare(*compare, raw);
  for (CLI::App* const part : {&app, compare}) {
    declare_traffic(*part, raw, options);
    declare_guest(*part, raw, options);
    declare_run(*part, raw, options);
  }
  const char* const examples =
      "\nExamples:\n"
      "  vhostx-bench --connect /tmp/vm0.sock --mode tx --sizes 64,1518 --cpu 1\n"
      "  vhostx-bench --connect /tmp/vm0.sock --connect /tmp/vm1.sock --plot rates.svg --sizes sweep,9000\n"
      "  vhostx-bench compare --a /tmp/a0,/tmp/a1 --b /tmp/b0,/tmp/b1 --label-a ours --label-b theirs";
  app.footer(examples);
  if (const auto exit = parse_command_line(app, arguments)) return *exit;
  if (auto applied = apply_rules(app, *compare, raw, options); !applied) return refused(app, applied.error().message);
  return options;
}

}  // namespace vhostx::tools::bench
