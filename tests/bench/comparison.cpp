// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/comparison.hpp"

#include <memory>
#include <utility>
#include <vector>

#include "tests/bench/rte_vhost_back_end.hpp"
#include "tests/bench/sittings.hpp"
#include "tests/bench/vhostx_back_end.hpp"

namespace vhostx::bench {
namespace {

using tools::bench::spread_of;

struct Contender {
  BenchGuest& guest;
  MeasuredBackEnd& back_end;
};

/// Rounds of both, by pairs.
class Alternation {
 public:
  Alternation(RoundMeter& meter, const BenchCase& bench_case) : meter_(meter), case_(bench_case) {}

  void run(int rounds, Contender first, Contender second) {
    round(first);  // not counted: caches, page tables, branch predictors
    round(second);
    for (int i = 0; i < rounds; ++i) {
      // Each goes first in every other pair.
      const bool swapped = i % 2 != 0;
      if (!swapped) first_ns_.push_back(round(first));
      second_ns_.push_back(round(second));
      if (swapped) first_ns_.push_back(round(first));
      ratios_.push_back(first_ns_.back() / second_ns_.back());
    }
  }

  Comparison result(std::string second, double target) const {
    return {"vhostx", std::move(second), spread_of(first_ns_), spread_of(second_ns_), spread_of(ratios_), target};
  }

 private:
  double round(Contender contender) { return meter_.round(contender.guest, contender.back_end, case_); }

  RoundMeter& meter_;
  const BenchCase& case_;
  std::vector<double> first_ns_;
  std::vector<double> second_ns_;
  std::vector<double> ratios_;
};

std::unique_ptr<MeasuredBackEnd> make_peer(Peer peer, BenchGuest& guest) {
  if (peer == Peer::vhostx) return std::make_unique<VhostxBackEnd>(guest);
  return std::make_unique<RteVhostBackEnd>(guest);
}

void sit_against(Peer peer, Alternation& alternation, const BenchCase& bench_case) {
  BenchGuest guest(bench_case.options);
  VhostxBackEnd ours(guest);
  const auto theirs = make_peer(peer, guest);
  alternation.run(sitting_rounds, {guest, ours}, {guest, *theirs});
}

void sit_against_other(Alternation& alternation, const BenchCase& bench_case, const BenchOptions& other) {
  BenchGuest first_guest(bench_case.options);
  BenchGuest second_guest(other);
  VhostxBackEnd first(first_guest);
  VhostxBackEnd second(second_guest);
  alternation.run(sitting_rounds, {first_guest, first}, {second_guest, second});
}

/// The same buffers at the same distances, in one region.
BenchOptions in_one_region(BenchOptions options) {
  options.regions = 1;
  options.spread = true;
  return options;
}

BenchOptions unlogged(BenchOptions options) {
  options.logged = false;
  return options;
}

}  // namespace

Comparison compare(RoundMeter& meter, const BenchCase& bench_case, Peer peer, int sittings) {
  constexpr double log_target = 1.35;
  const bool many_regions = bench_case.has_many_regions();
  Alternation alternation(meter, bench_case);
  for (int i = 0; i < sittings; ++i) {
    if (many_regions)
      sit_against_other(alternation, bench_case, in_one_region(bench_case.options));
    else if (peer == Peer::unlogged)
      sit_against_other(alternation, bench_case, unlogged(bench_case.options));
    else
      sit_against(peer, alternation, bench_case);
  }
  const double target = bench_case.ratio_target;
  if (many_regions) return alternation.result("vhostx, 1 region", target);
  if (peer == Peer::unlogged) return alternation.result("vhostx, no log", log_target);
  return peer == Peer::vhostx ? alternation.result("vhostx", 0) : alternation.result("rte_vhost", target);
}

}  // namespace vhostx::bench
