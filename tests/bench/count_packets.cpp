// SPDX-License-Identifier: BSD-3-Clause
// count_packets dequeue|enqueue BYTES BURSTS: that many bursts of 32 through a port, for tests/bench/count-instructions
// to run under callgrind.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <rte_mbuf.h>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/bench_port.hpp"

namespace {

constexpr std::uint16_t burst = 32;

int usage() {
  std::fputs("usage: count_packets dequeue|enqueue BYTES BURSTS\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return usage();
  const bool dequeue = std::strcmp(argv[1], "dequeue") == 0;
  if (!dequeue && std::strcmp(argv[1], "enqueue") != 0) return usage();
  const auto bytes = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  const auto bursts = std::strtoul(argv[3], nullptr, 10);
  if (bytes < 14 || bytes > 65535 || bursts == 0) return usage();

  vhostx::bench::start_bench_eal(vhostx::bench::Pages::normal);
  rte_mempool* pool = vhostx::bench::bench_pool();
  vhostx::bench::BenchPort port({.packet_bytes = bytes});
  std::array<rte_mbuf*, burst> packets;
  unsigned long moved = 0;
  for (unsigned long i = 0; i < bursts; ++i) {
    if (dequeue || i == 0) {
      port.post_transmit(burst);
      if (port.from_guest().dequeue_burst(pool, packets.data(), burst) != burst) return 1;
      if (dequeue) rte_pktmbuf_free_bulk(packets.data(), burst);
    }
    if (!dequeue) {
      port.post_receive(burst);
      if (port.to_guest().enqueue_burst(packets.data(), burst) != burst) return 1;
    }
    moved += burst;
  }
  std::printf("packets %lu\n", moved);
  return 0;
}
