// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/eal.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <sched.h>
#include <string>
#include <utility>
#include <vector>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

namespace vhostx::test {

namespace {

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, rte_strerror(rte_errno));
  std::exit(EXIT_FAILURE);
}

/// One lcore, on a processor that this process may use: a container need not have processor 0.
std::string first_processor() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return "0";
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) return std::to_string(cpu);
  return "0";
}

bool init_eal(const std::vector<std::string>& memory) {
  std::vector<std::string> words{"test",           "--no-pci",     "--no-shconf",
                                 "--no-telemetry", "--lcores",     "0@" + first_processor(),
                                 "--log-level",    "lib.eal:error"};
  words.insert(words.end(), memory.begin(), memory.end());
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
}

}  // namespace

void start_eal() {
  static const bool started = init_eal({"--no-huge", "-m", "64", "--iova-mode=va"});
  if (!started) fail("rte_eal_init");
}

std::string start_physical_eal() {
  static const bool started = init_eal({"--in-memory", "-m", "32", "--iova-mode=pa"});
  if (!started) return "rte_eal_init in PA mode: " + std::string(rte_strerror(rte_errno));
  return rte_eal_iova_mode() == RTE_IOVA_PA ? "" : "EAL knows no physical addresses here";
}

rte_mempool* test_pool(std::uint16_t room, unsigned count) {
  start_eal();
  static std::map<std::pair<std::uint16_t, unsigned>, rte_mempool*> pools;
  rte_mempool*& pool = pools[{room, count}];
  if (pool == nullptr) {
    const std::string name = "test" + std::to_string(pools.size());
    pool = rte_pktmbuf_pool_create(name.c_str(), count, 0, 0, static_cast<std::uint16_t>(room + RTE_PKTMBUF_HEADROOM),
                                   SOCKET_ID_ANY);
    if (pool == nullptr) fail("rte_pktmbuf_pool_create");
  }
  return pool;
}

}  // namespace vhostx::test
