// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/bench_eal.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

namespace vhostx::bench {
namespace {

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "bench: %s: %s\n", what, rte_strerror(rte_errno));
  std::exit(1);
}

bool huge_pages_free() {
  std::ifstream info("/proc/meminfo");
  for (std::string name, value; info >> name >> value; info.ignore(4096, '\n'))
    if (name == "HugePages_Free:") return std::stoul(value) >= 64;
  return false;
}

}  // namespace

void start_bench_eal(Pages pages, Simd simd) {
  static bool started = false;
  if (std::exchange(started, true)) return;
  std::vector<std::string> arguments{"bench", "--no-pci", "--no-telemetry", "--log-level=3", "-m", "64"};
  // EAL takes --in-memory for huge pages only; --no-shconf leaves no files behind either.
  const bool huge = pages == Pages::huge_if_any && huge_pages_free();
  arguments.insert(arguments.end(), {huge ? "--in-memory" : "--no-huge", "--no-shconf"});
  if (simd == Simd::baseline) arguments.push_back("--force-max-simd-bitwidth=128");
  std::vector<char*> raw;
  for (auto& argument : arguments) raw.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(raw.size()), raw.data()) < 0) die("EAL");
}

rte_mempool* bench_pool() {
  static rte_mempool* pool = rte_pktmbuf_pool_create("bench", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) die("mempool");
  return pool;
}

}  // namespace vhostx::bench
