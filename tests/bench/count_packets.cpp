// SPDX-License-Identifier: BSD-3-Clause
// count_packets: so many bursts of one case through one library, for tests/bench/count-instructions to run under
// callgrind, and for tests/bench/count-lines under lackey.
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <rte_mbuf.h>

#include "tests/bench/bench_cases.hpp"
#include "tests/bench/bench_eal.hpp"
#include "tests/bench/c_back_end.hpp"
#include "tests/bench/command_line.hpp"
#include "tests/bench/guest_pair.hpp"
#include "tests/bench/memory_kinds.hpp"
#include "tests/bench/turns.hpp"
#include "tests/bench/vhostx_back_end.hpp"
#ifdef VHOSTX_HAS_RTE_VHOST
#include "tests/bench/rte_vhost_back_end.hpp"
#endif

namespace vhostx::bench {
namespace {

struct Options {
  std::vector<std::string> cases;
  std::string bench_case;  ///< The one of `cases` that runs.
  std::string library = "vhostx";
  int bursts = 2000;
  int ports = 1;
  bool list = false;
  bool tell_memory = false;
};

struct Pair {
  std::unique_ptr<BenchGuest> guest;
  std::unique_ptr<MeasuredBackEnd> back_end;
  Vring* to_guest = nullptr;  ///< These two: of vhostx.
  Vring* from_guest = nullptr;
};

/// Runs what is measured between two marks.
template <typename Work>
auto marked(Work work) {
  marks.begin = 1;
  const auto result = work();
  marks.end = 1;
  return result;
}

void tell_memory(const Pair& pair) {
  tell_vring(*pair.to_guest, pair.guest->ring_addresses(0));
  tell_vring(*pair.from_guest, pair.guest->ring_addresses(1));
  tell_pool(bench_pool());
  tell_marks_and_wait();
}

/// Empty: this program knows no such library.
std::vector<Pair> make_pairs(const Options& options, const BenchCase& bench_case) {
  std::vector<Pair> pairs;
  const auto backend = make_backend();
  for (int i = 0; i < options.ports; ++i) {
    auto guest = std::make_unique<BenchGuest>(bench_case.options);
    Pair pair;
    if (options.library == "vhostx") {
      auto back_end = std::make_unique<VhostxBackEnd>(*guest, backend);
      pair = {nullptr, nullptr, &back_end->to_guest(), &back_end->from_guest()};
      pair.back_end = std::move(back_end);
    }
    if (options.library == "vhostx-c") pair.back_end = std::make_unique<CBackEnd>(*guest);
#ifdef VHOSTX_HAS_RTE_VHOST
    if (options.library == "rte_vhost") pair.back_end = std::make_unique<RteVhostBackEnd>(*guest);
#endif
    if (pair.back_end == nullptr) return {};
    pair.guest = std::move(guest);
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

/// What a library other than vhostx itself, or this program's use of it, cannot do. Empty: nothing.
std::string lacking(const Options& options, const BenchCase& bench_case) {
  if (options.library == "vhostx") return "";
  if (options.tell_memory) return fmt::format("of {} it is not told which memory is what", options.library);
  if (bench_case.options.recorded) return fmt::format("of {} no record is counted", options.library);
  if (options.library == "vhostx-c")
    return bench_case.options.queue_pairs == 1 ? "" : "through C one queue pair is counted";
  if (bench_case.options.regions > table_regions_max)
    return fmt::format("rte_vhost takes {} memory regions, not {}", table_regions_max, bench_case.options.regions);
  return options.ports == 1 ? "" : "rte_vhost is counted with one port only";
}

/// Packets of a port with zero copy: those below PortOptions::copy_below are copied, the others are lent; and the same
/// of a port without.
constexpr std::array<std::uint32_t, 6> lending_bytes{64, 256, 512, 1518, 9000, 65549};

std::string lending_name(std::uint32_t bytes, bool zero_copy) {
  return fmt::format("{}_{}", zero_copy ? "lending" : "copying", bytes);
}

int list_cases() {
  for (const BenchCase& bench_case : bench_cases()) fmt::print("{}\n", bench_case.name());
  for (const bool zero_copy : {true, false})
    for (const std::uint32_t bytes : lending_bytes) fmt::print("{}\n", lending_name(bytes, zero_copy));
  for (const PairCase& pair_case : pair_cases()) fmt::print("transfer_{0}\ncopies_{0}\n", pair_case.name);
  return 0;
}

int run_pair(const Options& options, const PairCase& pair_case, Copies copies) {
  if (options.library != "vhostx" || options.ports != 1) {
    fmt::print("skipped: from guest to guest vhostx alone is counted, with one pair of guests\n");
    return 77;
  }
  start_bench_eal(Pages::normal, Simd::baseline);
  GuestPair pair(pair_case, bench_pool());
  if (options.tell_memory) {
    pair.tell_memory();
    tell_pool(bench_pool());
    tell_marks_and_wait();
  }
  for (int i = 0; i < options.bursts; ++i) {
    pair.guests_turn();
    marked([&] { return pair.back_end_turn(copies), 0; });
  }
  fmt::print("{}\n", options.bursts * pair_case.burst);
  return 0;
}

int run_lending(const Options& options, std::uint32_t bytes, bool zero_copy) {
  if (options.library != "vhostx" || options.ports != 1) {
    fmt::print("skipped: vhostx alone lends, and is counted with one port\n");
    return 77;
  }
  start_bench_eal(Pages::normal, Simd::baseline);
  BenchGuest guest({.packet_bytes = bytes});
  VhostxBackEnd back_end(guest, PortOptions{.zero_copy = zero_copy});
  std::array<rte_mbuf*, BenchCase::turn_max> packets{};
  for (int i = 0; i < options.bursts; ++i) {
    guest.post_transmit(BenchCase::turn_max);
    const auto count = back_end.dequeue(bench_pool(), packets.data(), BenchCase::turn_max);
    rte_pktmbuf_free_bulk(packets.data(), count);
    if (zero_copy) back_end.from_guest().poll_completions();
  }
  fmt::print("{}\n", options.bursts * BenchCase::turn_max);
  return 0;
}

int run_case(const Options& options) {
  for (const bool zero_copy : {true, false})
    for (const std::uint32_t bytes : lending_bytes)
      if (options.bench_case == lending_name(bytes, zero_copy)) return run_lending(options, bytes, zero_copy);
  Copies copies{};
  if (const PairCase* pair = find_pair_case(options.bench_case, copies)) return run_pair(options, *pair, copies);
  const BenchCase* bench_case = find_bench_case(options.bench_case);
  if (bench_case == nullptr) {
    fmt::print(stderr, "count_packets: no case '{}'; --list names them\n", options.bench_case);
    return 2;
  }
  if (const std::string why = lacking(options, *bench_case); !why.empty()) {
    fmt::print("skipped: {}\n", why);
    return 77;
  }
  start_bench_eal(Pages::normal, Simd::baseline);
  const std::vector<Pair> pairs = make_pairs(options, *bench_case);
  if (pairs.empty()) {
    fmt::print(stderr, "count_packets: library '{}' is not built in\n", options.library);
    return 2;
  }
  Turns turns(bench_pool(), *bench_case);
  if (options.tell_memory) tell_memory(pairs.front());
  for (int i = 0; i < options.bursts; ++i)
    for (const Pair& pair : pairs) {
      turns.guest_turn(*pair.guest);
      turns.finish_turn(*pair.back_end, marked([&] { return turns.back_end_turn(*pair.back_end); }));
    }
  fmt::print("{}\n", options.bursts * options.ports * bench_case->units());  // what the count is divided by
  return 0;
}

int run(Options options) {
  if (options.list) return list_cases();
  for (const std::string& name : options.cases) {
    options.bench_case = name;
    if (const int status = run_case(options); status != 0) return status;
  }
  return 0;
}

}  // namespace
}  // namespace vhostx::bench

int main(int argc, char** argv) {
  vhostx::bench::Options options;
  CLI::App app{"Bursts of one case through one library, to be counted under callgrind"};
  app.add_option("--case", options.cases, "Which; may be given again")->type_name("NAME");
  app.add_option("--library", options.library, "vhostx, vhostx-c (through its C interface) or rte_vhost")
      ->type_name("NAME");
  app.add_option("--bursts", options.bursts, "How many")->check(CLI::Range(1, 10'000'000));
  app.add_option("--ports", options.ports, "Each with a guest, one after the other")->check(CLI::Range(1, 4096));
  app.add_flag("--tell-memory", options.tell_memory,
               "For tests/bench/count-lines: what lies where; then wait for a line");
  app.add_flag("--list", options.list, "Name the cases");
  return vhostx::bench::parse_and_run(app, argc, argv, [&] { return vhostx::bench::run(options); });
}
