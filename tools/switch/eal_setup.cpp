// SPDX-License-Identifier: BSD-3-Clause
// EAL options, lcores and the mbuf pool.
#include "tools/switch/eal_setup.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sched.h>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

namespace vhostx::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t mbufs_min = 16384;
constexpr std::uint32_t mbufs_max = 131072;
constexpr std::uint32_t mbufs_per_port = 1024;
// Burst and cache: a burst of 64 KiB packets takes 33 mbufs each, an lcore's cache holds up to 384.
constexpr std::uint32_t mbufs_per_worker = 2048;
constexpr std::uint32_t backlog_segments_max = 4096;
constexpr std::uint32_t cache_size = 256;
constexpr std::uint64_t mbuf_bytes = 2560;  // header, headroom, 2048 of data, the pool's own words
constexpr std::uint64_t mebibyte = 1u << 20;
constexpr std::uint64_t eal_bytes = 64 * mebibyte;

std::uint64_t read_number(const fs::path& file) {
  std::ifstream stream(file);
  std::uint64_t number = 0;
  return stream >> number ? number : 0;
}

void add_huge_pages(const fs::path& folder, MachineFacts& facts) {
  const auto name = folder.filename().string();  // hugepages-2048kB
  const auto dash = name.find('-');
  if (dash == std::string::npos) return;
  const std::uint64_t page_bytes = std::strtoull(name.c_str() + dash + 1, nullptr, 10) * 1024;
  const auto free = read_number(folder / "free_hugepages");
  const auto reserved = read_number(folder / "resv_hugepages");
  if (free <= reserved) return;
  const std::uint64_t bytes = (free - reserved) * page_bytes;
  if (bytes > facts.huge_bytes_free) facts.huge_page_bytes = page_bytes;
  facts.huge_bytes_free = std::max(facts.huge_bytes_free, bytes);
}

std::string lcore_map(const std::vector<unsigned>& cpus, unsigned workers) {
  auto map = fmt::format("0@{}", cpus.front());
  for (unsigned worker = 0; worker < workers; ++worker)
    map += fmt::format(",{}@{}", worker + 1, cpus[cpus.size() - 1 - worker % cpus.size()]);
  return map;
}

void choose_memory(EalPlan& plan, const MachineFacts& machine, std::uint64_t needed) {
  if (machine.huge_bytes_free >= needed) {
    plan.arguments.push_back("--in-memory");
    plan.memory = fmt::format("huge pages of {} MiB ({} MiB free, {} MiB needed)", machine.huge_page_bytes / mebibyte,
                              machine.huge_bytes_free / mebibyte, needed / mebibyte);
    return;
  }
  // --no-huge means legacy memory to EAL 22.11, which --in-memory refuses; what is left of it is --no-shconf.
  // A mempool puts no object over a border of pages: on ordinary ones each mbuf takes a page, twice its size.
  const std::uint64_t ordinary = 2 * needed;
  plan.arguments.insert(plan.arguments.end(), {"--no-huge", "--no-shconf", "-m", std::to_string(ordinary / mebibyte)});
  plan.memory = fmt::format("ordinary pages, --no-huge: {} MiB of free huge pages, {} MiB needed",
                            machine.huge_bytes_free / mebibyte, needed / mebibyte);
}

std::vector<char*> as_argv(std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

}  // namespace

MachineFacts read_machine() {
  MachineFacts facts;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &allowed)) facts.cpus.push_back(cpu);
  if (facts.cpus.empty()) facts.cpus.push_back(0);
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/sys/kernel/mm/hugepages", none)) add_huge_pages(entry, facts);
  return facts;
}

PoolPlan plan_pool(std::size_t ports, unsigned workers) noexcept {
  const auto ports32 = static_cast<std::uint32_t>(std::max<std::size_t>(1, ports));
  const auto shared = std::clamp(ports32 * mbufs_per_port, mbufs_min, mbufs_max);
  PoolPlan plan;
  plan.mbufs = shared + workers * mbufs_per_worker;
  // Half of what is shared: with every backlog full, packets still flow.
  plan.backlog_segments = std::min(shared / 2 / ports32, backlog_segments_max);
  plan.bytes = plan.mbufs * mbuf_bytes + 2 * mebibyte;
  return plan;
}

EalPlan plan_eal(const Options& options, const MachineFacts& machine) {
  EalPlan plan;
  if (!options.eal_arguments.empty()) {
    plan.arguments = options.eal_arguments;
    plan.memory = "as the EAL options say";
    return plan;
  }
  const auto workers = options.workers.value_or(1);
  plan.arguments = {"--lcores", lcore_map(machine.cpus, workers), "--no-pci", "--no-telemetry", "--log-level=error"};
  choose_memory(plan, machine, plan_pool(options.port_count(), workers).bytes + eal_bytes);
  return plan;
}

Result<std::vector<unsigned>> start_eal(const Options& options, const EalPlan& plan) {
  std::vector<std::string> words{"vhostx-switch"};
  words.insert(words.end(), plan.arguments.begin(), plan.arguments.end());
  const auto line = fmt::format("{}", fmt::join(plan.arguments, " "));
  auto argv = as_argv(words);
  if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("EAL refused to start with '{}': {}", line, rte_strerror(rte_errno)), 0};
  std::vector<unsigned> lcores;
  unsigned lcore = 0;
  RTE_LCORE_FOREACH_WORKER(lcore)
  if (lcores.size() < options.workers.value_or(workers_max)) lcores.push_back(lcore);
  if (lcores.size() < options.workers.value_or(1))
    return Error{ErrorCode::invalid_argument,
                 fmt::format("the EAL options '{}' leave {} worker lcores: expected at least {} beside the main one "
                             "(as in --lcores '0@0,1@1')",
                             line, lcores.size(), options.workers.value_or(1)),
                 0};
  return lcores;
}

Result<rte_mempool*> make_pool(const PoolPlan& plan) {
  rte_mempool* const pool =
      rte_pktmbuf_pool_create("vhostx-switch", plan.mbufs, cache_size, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool != nullptr) return pool;
  return Error{
      ErrorCode::out_of_memory,
      fmt::format("no pool of {} mbufs: {}: expected {} MiB of memory in EAL (free huge pages, or --no-huge -m {})",
                  plan.mbufs, rte_strerror(rte_errno), plan.bytes / mebibyte, 2 * (plan.bytes + eal_bytes) / mebibyte),
      0};
}

}  // namespace vhostx::tools
