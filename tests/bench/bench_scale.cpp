// SPDX-License-Identifier: BSD-3-Clause
// bench_scale: what grows with ports and queue pairs, as tables.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "tests/bench/command_line.hpp"
#include "tests/bench/scale_measures.hpp"

namespace vhostx::bench {
namespace {

struct Options {
  std::vector<int> ports{1, 16, 64, 256};
  int connects = 100;
};

/// In a process of its own, which finds no threads, heap or ports of what was measured before.
template <typename Work>
void apart(Work work) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    std::fflush(stdout);
    ::_exit(0);
  }
  int status = 0;
  if (child > 0 && ::waitpid(child, &status, 0) == child && status == 0) return;
  std::fputs("bench_scale: a measurement failed\n", stderr);
  std::exit(1);
}

void print_idle_polls(const std::vector<int>& ports) {
  fmt::print("A poll of an idle vring, in turn with those of the other ports\n{:>5}  {:>9}\n", "ports", "ns a poll");
  for (const int count : ports) apart([count] { fmt::print("{:>5}  {:>9.1f}\n", count, idle_poll_ns(count)); });
}

void print_memory_row(int ports, std::uint16_t queue_pairs) {
  const PortMemory memory = memory_a_port(ports, queue_pairs);
  fmt::print("{:>5} {:>11}  {:>10.1f} {:>9.1f} {:>5.1f}  {:>10.1f} {:>9.1f} {:>9.0f} {:>5.1f}\n", ports, queue_pairs,
             memory.idle.anonymous_kib, memory.idle.virtual_kib, memory.idle_fds, memory.connected.anonymous_kib,
             memory.connected.rss_kib, memory.connected.virtual_kib, memory.connected_fds);
}

void print_memory() {
  fmt::print(
      "\nMemory a port, KiB, without and with a guest (own: anonymous; resident: with the guest's pages that were\n"
      "touched; virtual: with all of the guest's memory), and file descriptors\n");
  fmt::print("{:>5} {:>11}  {:>10} {:>9} {:>5}  {:>10} {:>9} {:>9} {:>5}\n", "ports", "queue pairs", "idle: own",
             "virtual", "fds", "guest: own", "resident", "virtual", "fds");
  apart([] { print_memory_row(64, 1); });
  apart([] { print_memory_row(1, 128); });
}

void print_first_packet_row(int connects, std::uint16_t queue_pairs) {
  const FirstPacket first = time_to_first_packet(connects, queue_pairs);
  fmt::print("{:>11} {:>8}  {:>7.2f} ({:>5.2f} - {:>5.2f})  {:>7.2f} ({:>5.2f} - {:>5.2f})  {:>6}\n", queue_pairs,
             connects, first.connect_ms.median, first.connect_ms.low, first.connect_ms.high,
             first.first_packet_ms.median, first.first_packet_ms.low, first.first_packet_ms.high,
             first.queue_pairs_served);
}

void print_first_packet(int connects) {
  fmt::print(
      "\nFrom connect to the first packet, ms: until the front-end's last message is answered, and until each queue\n"
      "pair has carried a packet each way (median, quartiles)\n");
  fmt::print("{:>11} {:>8}  {:>23}  {:>23}  {:>6}\n", "queue pairs", "connects", "connected", "packets", "served");
  for (const std::uint16_t queue_pairs : {std::uint16_t{1}, std::uint16_t{128}})
    apart([=] { print_first_packet_row(connects, queue_pairs); });
}

int run(const Options& options) {
  print_idle_polls(options.ports);
  print_memory();
  print_first_packet(options.connects);
  return 0;
}

}  // namespace
}  // namespace vhostx::bench

int main(int argc, char** argv) {
  vhostx::bench::Options options;
  CLI::App app{"What grows with ports and queue pairs"};
  app.add_option("--ports", options.ports, "Idle ports that are polled")->delimiter(',')->check(CLI::Range(1, 4096));
  app.add_option("--connects", options.connects, "Of a front-end to one port")->check(CLI::Range(1, 100000));
  return vhostx::bench::parse_and_run(app, argc, argv, [&] { return vhostx::bench::run(options); });
}
