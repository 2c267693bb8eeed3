// SPDX-License-Identifier: BSD-3-Clause
// compare_lent: what a packet from a guest costs an application that only looks at it, copied against lent: taken, and
// freed again, and its buffer given back to the guest.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/bench_guest.hpp"
#include "tests/bench/command_line.hpp"
#include "tests/bench/middle_mean.hpp"
#include "tests/bench/vhostx_back_end.hpp"
#include "tools/bench/statistics.hpp"

namespace vhostx::bench {
namespace {

using tools::bench::Spread;
using tools::bench::spread_of;

constexpr std::uint16_t burst = 32;
constexpr int bursts_a_round = 1000;

struct Options {
  std::vector<std::uint32_t> sizes{64, 256, 512, 1024, 1518, 2048, 4096, 9000, 65549};
  int sittings = 5;
  int rounds = 6;  ///< A sitting.
  bool all = false;
  bool json = false;
};

/// Nanoseconds a packet.
struct Cost {
  double take;   ///< dequeue_burst
  double whole;  ///< and to free, and to give back
};

/// A guest with a port of its own.
class Contender {
 public:
  Contender(std::uint32_t packet_bytes, bool zero_copy, bool lend_all)
      : guest_({.packet_bytes = packet_bytes}),
        back_end_(guest_, options(zero_copy, lend_all)),
        lends_(zero_copy && (lend_all || packet_bytes >= PortOptions{}.copy_below)) {}

  Cost round() {
    take_.clear();
    whole_.clear();
    for (int i = 0; i < bursts_a_round; ++i) turn();
    return {nanoseconds(take_), nanoseconds(whole_)};
  }

 private:
  static PortOptions options(bool zero_copy, bool lend_all) {
    PortOptions options;
    options.zero_copy = zero_copy;
    if (lend_all) options.copy_below = 0;
    return options;
  }
  static double nanoseconds(std::vector<std::uint64_t>& ticks) {
    return middle_mean(ticks) * 1e9 / static_cast<double>(rte_get_tsc_hz()) / burst;
  }

  void turn() {
    guest_.post_transmit(burst);
    const std::uint64_t begin = rte_rdtsc_precise();
    const std::uint16_t count = back_end_.from_guest().dequeue_burst(bench_pool(), packets_.data(), burst);
    const std::uint64_t taken = rte_rdtsc_precise();
    rte_pktmbuf_free_bulk(packets_.data(), count);
    if (lends_) back_end_.from_guest().poll_completions();  // the next burst would do it, for about as much
    whole_.push_back(rte_rdtsc_precise() - begin);
    take_.push_back(taken - begin);
    if (count == burst) return;
    std::fprintf(stderr, "compare_lent: %u packets of %u\n", count, burst);
    std::exit(1);
  }

  BenchGuest guest_;
  VhostxBackEnd back_end_;
  const bool lends_;  ///< Packets of this size.
  std::array<rte_mbuf*, burst> packets_{};
  std::vector<std::uint64_t> take_;
  std::vector<std::uint64_t> whole_;
};

struct Row {
  std::vector<double> copied_take, copied_whole, lent_take, lent_whole, ratio_take, ratio_whole;
};

void sit(Row& row, std::uint32_t bytes, const Options& options) {
  Contender copied(bytes, false, false);
  Contender lent(bytes, true, options.all);
  copied.round();  // not counted: caches, page tables, branch predictors
  lent.round();
  for (int i = 0; i < options.rounds; ++i) {
    Cost a{};
    Cost b{};
    if (i % 2 == 0) a = copied.round();
    b = lent.round();
    if (i % 2 != 0) a = copied.round();
    row.copied_take.push_back(a.take);
    row.copied_whole.push_back(a.whole);
    row.lent_take.push_back(b.take);
    row.lent_whole.push_back(b.whole);
    row.ratio_take.push_back(a.take / b.take);
    row.ratio_whole.push_back(a.whole / b.whole);
  }
}

void print(std::uint32_t bytes, const Row& row, bool json) {
  const auto median = [](const std::vector<double>& values) { return spread_of(values).median; };
  const Spread whole = spread_of(row.ratio_whole);
  if (json) {
    const nlohmann::json line = {{"bytes", bytes},
                                 {"copied_take_ns", median(row.copied_take)},
                                 {"copied_ns", median(row.copied_whole)},
                                 {"lent_take_ns", median(row.lent_take)},
                                 {"lent_ns", median(row.lent_whole)},
                                 {"ratio_take", median(row.ratio_take)},
                                 {"ratio", {{"median", whole.median}, {"low", whole.low}, {"high", whole.high}}}};
    fmt::print("{}\n", line.dump());
    return;
  }
  fmt::print("{:>6}  {:8.1f} {:8.1f}  {:6.2f}    {:8.1f} {:8.1f}  {:6.2f}  ({:.2f} - {:.2f})\n", bytes,
             median(row.copied_take), median(row.lent_take), median(row.ratio_take), median(row.copied_whole),
             median(row.lent_whole), whole.median, whole.low, whole.high);
}

int run(const Options& options) {
  start_bench_eal(Pages::huge_if_any);
  if (!options.json)
    fmt::print(
        "ns a packet; how many times cheaper zero copy is (median of neighbouring rounds, quartiles)\n\n"
        "        dequeue_burst               and free, and give back\n"
        " bytes    copied     lent   times      copied     lent   times\n");
  for (const std::uint32_t bytes : options.sizes) {
    Row row;
    for (int i = 0; i < options.sittings; ++i) sit(row, bytes, options);
    print(bytes, row, options.json);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace vhostx::bench

int main(int argc, char** argv) {
  vhostx::bench::Options options;
  CLI::App app{"A packet from a guest to an application that only looks at it: copied against lent"};
  app.add_option("--sizes", options.sizes, "Bytes of a packet")->delimiter(',')->check(CLI::Range(60, 65597));
  app.add_option("--sittings", options.sittings, "Each with new guests")->check(CLI::Range(1, 1000));
  app.add_option("--rounds", options.rounds, "Pairs of rounds a sitting")->check(CLI::Range(1, 1000));
  app.add_flag("--all", options.all, "Lend small packets too (copy_below = 0): where the threshold should be");
  app.add_flag("--json", options.json, "One JSON object a size");
  return vhostx::bench::parse_and_run(app, argc, argv, [&] { return vhostx::bench::run(options); });
}
