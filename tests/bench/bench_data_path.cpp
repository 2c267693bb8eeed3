// SPDX-License-Identifier: BSD-3-Clause
// Microbenchmarks of dequeue and enqueue: the library's calls alone are timed, the guest's turn is not.
#include <array>
#include <cstdint>

#include <benchmark/benchmark.h>
#include <rte_cycles.h>

#include "tests/bench/bench_cases.hpp"
#include "tests/bench/bench_eal.hpp"
#include "tests/bench/turns.hpp"
#include "tests/bench/vhostx_back_end.hpp"

namespace vhostx::bench {
namespace {

/// Seconds of the time-stamp counter.
class Stopwatch {
 public:
  double seconds() const {
    return static_cast<double>(rte_rdtsc_precise() - start_) / static_cast<double>(rte_get_tsc_hz());
  }

 private:
  std::uint64_t start_ = rte_rdtsc_precise();
};

void count_packets(benchmark::State& state, std::uint64_t packets) {
  state.SetItemsProcessed(static_cast<std::int64_t>(packets));
  state.counters["per_packet"] =
      benchmark::Counter(static_cast<double>(packets), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void run(benchmark::State& state, const BenchCase& bench_case) {
  BenchGuest guest(bench_case.options);
  VhostxBackEnd back_end(guest);
  Turns turns(bench_pool(), bench_case);
  std::uint64_t total = 0;
  for ([[maybe_unused]] auto _ : state) {
    turns.guest_turn(guest);
    const Stopwatch watch;
    const std::uint16_t moved = turns.back_end_turn(back_end);
    state.SetIterationTime(watch.seconds());
    turns.finish_turn(back_end, moved);
    total += bench_case.units();
  }
  count_packets(state, total);
}

void register_case(const BenchCase& bench_case) {
  const auto work = [&bench_case](benchmark::State& state) { run(state, bench_case); };
  benchmark::RegisterBenchmark(bench_case.name().c_str(), work)->UseManualTime();
}

}  // namespace
}  // namespace vhostx::bench

int main(int argc, char** argv) {
  using namespace vhostx::bench;
  const std::array large{BenchCase{Call::dequeue, "", {.packet_bytes = 65536}},
                         BenchCase{Call::enqueue, "", {.packet_bytes = 65536}}};
  for (const BenchCase& bench_case : bench_cases()) register_case(bench_case);
  for (const BenchCase& bench_case : large) register_case(bench_case);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  start_bench_eal(Pages::huge_if_any);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
