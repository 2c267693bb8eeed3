// SPDX-License-Identifier: BSD-3-Clause
// compare_copies: time a packet from one guest to another, with two copies (dequeue_burst, enqueue_burst, free) and
// with one (Transfer), in one process, in turn, on the same rings.
#include <cstdio>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <rte_cycles.h>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/command_line.hpp"
#include "tests/bench/guest_pair.hpp"
#include "tests/bench/middle_mean.hpp"
#include "tests/bench/sittings.hpp"
#include "tools/bench/statistics.hpp"

namespace vhostx::bench {
namespace {

constexpr int round_turns = 2000;

struct Options : ComparisonOptions {
  bool itself = false;
};

double clock_overhead() {
  std::vector<std::uint64_t> ticks;
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t begin = rte_rdtsc_precise();
    ticks.push_back(rte_rdtsc_precise() - begin);
  }
  return middle_mean(std::move(ticks));
}

/// Nanoseconds a packet: the mean of the middle half of the turns.
double round(GuestPair& pair, const PairCase& pair_case, Copies copies) {
  static const double overhead = clock_overhead();
  std::vector<std::uint64_t> ticks;
  ticks.reserve(round_turns);
  for (int i = 0; i < round_turns; ++i) {
    pair.guests_turn();
    const std::uint64_t begin = rte_rdtsc_precise();
    pair.back_end_turn(copies);
    ticks.push_back(rte_rdtsc_precise() - begin);
  }
  return (middle_mean(std::move(ticks)) - overhead) * 1e9 / static_cast<double>(rte_get_tsc_hz()) / pair_case.burst;
}

/// Each sitting has guests of its own: where memory happens to lie makes a difference.
void compare(const PairCase& pair_case, const Options& options) {
  const Copies other = options.itself ? Copies::one : Copies::two;
  std::vector<double> one_ns, two_ns, ratios;
  for (int sitting = 0; sitting < sittings_of(options.rounds); ++sitting) {
    GuestPair pair(pair_case, bench_pool());
    round(pair, pair_case, Copies::one);  // not counted: caches, page tables, branch predictors
    round(pair, pair_case, other);
    for (int i = 0; i < sitting_rounds; ++i) {
      const bool swapped = i % 2 != 0;  // each goes first in every other pair
      if (!swapped) one_ns.push_back(round(pair, pair_case, Copies::one));
      two_ns.push_back(round(pair, pair_case, other));
      if (swapped) one_ns.push_back(round(pair, pair_case, Copies::one));
      ratios.push_back(two_ns.back() / one_ns.back());
    }
  }
  const auto ratio = tools::bench::spread_of(ratios);
  const bool met = options.itself || ratio.median >= pair_case.ratio_target;
  fmt::print("{:<20} {:9.1f} {:9.1f}  {:6.2f}  ({:.2f} - {:.2f})  {:.2f}{}\n", pair_case.name,
             tools::bench::spread_of(two_ns).median, tools::bench::spread_of(one_ns).median, ratio.median, ratio.low,
             ratio.high, pair_case.ratio_target, met ? "" : "  missed");
  std::fflush(stdout);
}

int run(const Options& options) {
  const std::regex wanted(options.case_regex);
  start_bench_eal(Pages::huge_if_any);
  fmt::print(
      "ns a packet from guest to guest, {} pairs of rounds of {} bursts each, in turn; how many times as fast\n\n",
      options.rounds, round_turns);
  fmt::print("{:<20} {:>9} {:>9}  {:>6}  {:<13}  {}\n", "case", options.itself ? "transfer" : "2 copies", "transfer",
             "ratio", "(quartiles)", "at least");
  for (const PairCase& pair_case : pair_cases())
    if (std::regex_search(pair_case.name, wanted)) compare(pair_case, options);
  return 0;
}

}  // namespace
}  // namespace vhostx::bench

int main(int argc, char** argv) {
  vhostx::bench::Options options;
  CLI::App app{"Time a packet from guest to guest: two copies against one, in turn"};
  options.add_to(app);
  app.add_flag("--itself", options.itself, "One copy against one copy: what the measurement is worth");
  return vhostx::bench::parse_and_run(app, argc, argv, [&] { return vhostx::bench::run(options); });
}
