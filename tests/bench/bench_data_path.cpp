// SPDX-License-Identifier: BSD-3-Clause
// Microbenchmarks of dequeue and enqueue: the library's calls alone are timed, the guest's turn is not.
#include <array>
#include <cstdint>

#include <benchmark/benchmark.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/bench_port.hpp"

namespace vhostx::bench {
namespace {

constexpr std::uint16_t burst_max = 32;
using Burst = std::array<rte_mbuf*, burst_max>;

BenchOptions options_of(const benchmark::State& state) {
  BenchOptions options;
  options.packet_bytes = static_cast<std::uint32_t>(state.range(0));
  options.shape = static_cast<Shape>(state.range(1));
  if (state.range(2) == 0) options.features &= ~(1ULL << 15);
  options.regions = static_cast<std::uint32_t>(state.range(3));
  return options;
}

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

void dequeue(benchmark::State& state) {
  const auto burst = static_cast<std::uint16_t>(state.range(4));
  BenchPort port(options_of(state));
  Burst packets;
  std::uint64_t total = 0;
  for ([[maybe_unused]] auto _ : state) {
    port.post_transmit(burst);
    const Stopwatch watch;
    const std::uint16_t got = port.from_guest().dequeue_burst(bench_pool(), packets.data(), burst);
    state.SetIterationTime(watch.seconds());
    if (got != burst) state.SkipWithError("packets were lost");
    total += got;
    rte_pktmbuf_free_bulk(packets.data(), got);
  }
  count_packets(state, total);
}

void enqueue(benchmark::State& state) {
  const auto burst = static_cast<std::uint16_t>(state.range(4));
  BenchPort port(options_of(state));
  Burst packets;
  port.post_transmit(burst);
  if (port.from_guest().dequeue_burst(bench_pool(), packets.data(), burst) != burst) state.SkipWithError("no packets");
  std::uint64_t total = 0;
  for ([[maybe_unused]] auto _ : state) {
    port.post_receive(burst);
    const Stopwatch watch;
    const std::uint16_t put = port.to_guest().enqueue_burst(packets.data(), burst);
    state.SetIterationTime(watch.seconds());
    if (put != burst) state.SkipWithError("packets were lost");
    total += put;
  }
  rte_pktmbuf_free_bulk(packets.data(), burst);
  count_packets(state, total);
}

// bytes, shape, mergeable, regions, burst
void cases(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"bytes", "shape", "mergeable", "regions", "burst"})->UseManualTime();
  for (const std::int64_t bytes : {64, 256, 1518, 65536}) benchmark->Args({bytes, 0, 1, 1, 32});
  benchmark->Args({64, 1, 1, 1, 32});    // header and packet in two descriptors
  benchmark->Args({64, 2, 1, 1, 32});    // in one indirect table
  benchmark->Args({64, 0, 0, 1, 32});    // not mergeable
  benchmark->Args({64, 0, 1, 509, 32});  // buffers over 509 regions
  benchmark->Args({64, 0, 1, 1, 1});     // bursts of one
}
BENCHMARK(dequeue)->Apply(cases);
BENCHMARK(enqueue)->Apply(cases);

}  // namespace
}  // namespace vhostx::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  vhostx::bench::start_bench_eal(vhostx::bench::Pages::huge_if_any);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
