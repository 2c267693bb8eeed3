// SPDX-License-Identifier: BSD-3-Clause
// compare_rte_vhost: time a packet in this library's calls and in rte_vhost's, in one process, in turn, on one guest.
#include <cstdio>
#include <regex>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/command_line.hpp"
#include "tests/bench/comparison.hpp"
#include "tests/bench/sittings.hpp"

namespace vhostx::bench {
namespace {

struct Options : ComparisonOptions {
  Peer peer = Peer::rte_vhost;
  bool json = false;
};

nlohmann::json json_of(const tools::bench::Spread& spread) {
  return {{"median", spread.median}, {"low", spread.low}, {"high", spread.high}};
}

void print_json(const BenchCase& bench_case, const Comparison& comparison) {
  const nlohmann::json line = {{"case", bench_case.name()},
                               {"first", comparison.first},
                               {"second", comparison.second},
                               {"first_ns_a_packet", json_of(comparison.first_ns)},
                               {"second_ns_a_packet", json_of(comparison.second_ns)},
                               {"ratio", json_of(comparison.ratio)},
                               {"ratio_target", comparison.target}};
  fmt::print("{}\n", line.dump());
}

void print_header(const RoundMeter& meter, const Options& options) {
  fmt::print(
      "ns a packet in the library's call, {} rounds of {} packets each, in turn; ratio of neighbouring rounds\n"
      "(less {:.1f} ns a turn for reading the time-stamp counter)\n\n",
      options.rounds, BenchGuest::index_period, meter.overhead_ns());
  fmt::print("{:<28} {:>8}  {:<16} {:>8}  {:>6}  {:<13}  {}\n", "case", "vhostx", "against", "", "ratio", "(quartiles)",
             "target");
}

std::string verdict(const Comparison& comparison) {
  if (comparison.target == 0) return "-";
  const bool met = comparison.ratio.median <= comparison.target;
  return fmt::format("{:.2f}{}", comparison.target, met ? "" : "  missed");
}

void print_row(const BenchCase& bench_case, const Comparison& comparison) {
  const tools::bench::Spread& ratio = comparison.ratio;
  fmt::print("{:<28} {:8.1f}  {:<16} {:8.1f}  {:6.2f}  ({:.2f} - {:.2f})  {}\n", bench_case.name(),
             comparison.first_ns.median, comparison.second, comparison.second_ns.median, ratio.median, ratio.low,
             ratio.high, verdict(comparison));
}

int run(const Options& options) {
  const std::regex wanted(options.case_regex);
  start_bench_eal(Pages::huge_if_any);
  RoundMeter meter(bench_pool());
  if (!options.json) print_header(meter, options);
  int measured = 0;
  for (const BenchCase& bench_case : bench_cases()) {
    if (!std::regex_search(bench_case.name(), wanted)) continue;
    if (bench_case.options.recorded) continue;  // rte_vhost keeps no record for a network device
    if (options.peer == Peer::unlogged && !bench_case.options.logged) continue;
    const Comparison comparison = compare(meter, bench_case, options.peer, sittings_of(options.rounds));
    options.json ? print_json(bench_case, comparison) : print_row(bench_case, comparison);
    std::fflush(stdout);
    ++measured;
  }
  if (measured > 0) return 0;
  std::fprintf(stderr, "compare_rte_vhost: no case matches '%s'\n", options.case_regex.c_str());
  return 2;
}

}  // namespace
}  // namespace vhostx::bench

int main(int argc, char** argv) {
  vhostx::bench::Options options;
  CLI::App app{"Time a packet: vhostx against rte_vhost, in turn"};
  options.add_to(app);
  app.add_flag(
      "--itself", [&](std::int64_t) { options.peer = vhostx::bench::Peer::vhostx; },
      "vhostx against vhostx: ratios away from 1 tell what the measurement is worth");
  app.add_flag(
      "--without-log", [&](std::int64_t) { options.peer = vhostx::bench::Peer::unlogged; },
      "the cases with a dirty log, against vhostx without: what logging costs");
  app.add_flag("--json", options.json, "One JSON object a case");
  return vhostx::bench::parse_and_run(app, argc, argv, [&] { return vhostx::bench::run(options); });
}
