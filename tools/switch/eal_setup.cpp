// SPDX-License-Identifier: BSD-3-Clause
// EAL options, lcores and the size of mbuf pools.
#include "tools/switch/eal_setup.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

namespace vhostx::tools {
namespace {

constexpr std::uint32_t mbufs_min = 16384;
constexpr std::uint32_t mbufs_max = 131072;
constexpr std::uint32_t mbufs_per_port = 1024;
// Burst and cache: a burst of 64 KiB packets takes 33 mbufs each, an lcore's cache holds up to 384.
constexpr std::uint32_t mbufs_per_worker = 2048;
constexpr std::uint32_t backlog_segments_max = 4096;
constexpr std::uint32_t backlog_segments_min = 64;
constexpr std::uint64_t mbuf_bytes = 2560;  // header, headroom, 2048 of data, the pool's own words
constexpr std::uint64_t mebibyte = 1u << 20;
constexpr std::uint64_t eal_bytes = 64 * mebibyte;

std::string lcore_map(unsigned main_cpu, const std::vector<WorkerCpu>& workers) {
  auto map = fmt::format("0@{}", main_cpu);
  for (std::size_t worker = 0; worker < workers.size(); ++worker)
    map += fmt::format(",{}@{}", worker + 1, workers[worker].cpu);
  return map;
}

/// Nodes that the workers are on.
std::set<int> nodes_of(const std::vector<WorkerCpu>& workers) {
  std::set<int> nodes;
  for (const auto& worker : workers) nodes.insert(worker.node);
  return nodes;
}

std::string huge_memory_text(const MachineFacts& machine, const std::set<int>& nodes, std::uint64_t needed) {
  const auto page = machine.huge_page_bytes / mebibyte;
  if (nodes.size() < 2)
    return fmt::format("huge pages of {} MiB ({} MiB free, {} MiB needed)", page, machine.huge_bytes_free / mebibyte,
                       needed / mebibyte);
  std::string free;
  for (const auto& [node, bytes] : machine.huge_bytes_free_on)
    fmt::format_to(std::back_inserter(free), "{}{} MiB free on node {}", free.empty() ? "" : ", ", bytes / mebibyte,
                   node);
  return fmt::format("huge pages of {} MiB ({}, {} MiB needed on each that has a worker)", page, free,
                     needed / mebibyte);
}

/// EAL in memory takes huge pages when it needs them, on the node that it is asked for (so no --socket-mem): it is
/// enough that one node has what a pool needs. The others' workers use that one where theirs has too little.
bool enough_huge_pages(const MachineFacts& machine, const std::set<int>& nodes, std::uint64_t needed) {
  if (nodes.size() < 2) return machine.huge_bytes_free >= needed;
  return std::any_of(machine.huge_bytes_free_on.begin(), machine.huge_bytes_free_on.end(),
                     [&](const auto& node) { return node.second >= needed; });
}

void choose_memory(EalPlan& plan, const MachineFacts& machine, const std::set<int>& nodes, std::uint64_t needed) {
  // --no-huge means legacy memory to EAL 22.11, which --in-memory refuses; what is left of it is --no-shconf.
  // A mempool puts no object over a border of pages: on ordinary ones each mbuf takes a page, twice its size.
  auto ordinary = plan.arguments;
  ordinary.insert(ordinary.end(), {"--no-huge", "--no-shconf", "-m", std::to_string(2 * needed / mebibyte)});
  if (!machine.mempolicy_denied && enough_huge_pages(machine, nodes, needed)) {
    plan.arguments.push_back("--in-memory");
    plan.memory = huge_memory_text(machine, nodes, needed);
    plan.otherwise = std::move(ordinary);
    return;
  }
  plan.arguments = std::move(ordinary);
  plan.memory = fmt::format("ordinary pages, --no-huge: {} MiB of free huge pages, {} MiB needed{}",
                            machine.huge_bytes_free / mebibyte, needed / mebibyte,
                            machine.mempolicy_denied ? ", and EAL takes none where get_mempolicy(2) is denied" : "");
}

std::vector<char*> as_argv(std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

/// DPDK 25.11 ends the process itself for an option that it does not know. It has said which; what is ours to say
/// follows, with the exit status of a wrong command line.
class EalMayExit {
 public:
  explicit EalMayExit(const std::string& refusal) {
    static const bool once = std::atexit(at_exit) == 0;
    if (once) refusal_ = &refusal;
  }
  ~EalMayExit() { refusal_ = nullptr; }
  EalMayExit(const EalMayExit&) = delete;
  EalMayExit& operator=(const EalMayExit&) = delete;

 private:
  static void at_exit() {
    if (refusal_ == nullptr) return;
    std::fflush(nullptr);
    std::fprintf(stderr, "vhostx-switch: %s\n", refusal_->c_str());
    std::_Exit(2);
  }
  static inline const std::string* refusal_ = nullptr;
};

Result<void> init_eal(const std::vector<std::string>& arguments, const std::string& line) {
  std::vector<std::string> words{"vhostx-switch"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  auto argv = as_argv(words);
  const auto refusal = fmt::format("EAL refused to start with '{}'", line);
  const EalMayExit guard(refusal);
  if (rte_eal_init(static_cast<int>(words.size()), argv.data()) >= 0) return {};
  return Error{ErrorCode::invalid_argument, fmt::format("{}: {}", refusal, rte_strerror(rte_errno)), 0};
}

}  // namespace

std::uint32_t backlog_share(std::uint32_t backlog_segments_all, std::size_t ports) noexcept {
  const auto share = backlog_segments_all / static_cast<std::uint32_t>(std::max<std::size_t>(1, ports));
  return std::min(share, backlog_segments_max);
}

std::size_t ports_for(std::uint32_t backlog_segments_all) noexcept {
  return std::min<std::size_t>(backlog_segments_all / backlog_segments_min, ports_max);
}

PoolPlan plan_pool(std::size_t ports, unsigned workers) noexcept {
  const auto ports32 = static_cast<std::uint32_t>(std::max<std::size_t>(1, ports));
  const auto shared = std::clamp(ports32 * mbufs_per_port, mbufs_min, mbufs_max);
  PoolPlan plan;
  plan.mbufs = shared + workers * mbufs_per_worker;
  // Half of what is shared: with every backlog full, packets still flow.
  plan.backlog_segments_all = shared / 2;
  plan.backlog_segments = backlog_share(plan.backlog_segments_all, ports);
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
  const auto cpus = worker_cpus(machine, workers);
  plan.arguments = {"--lcores",      lcore_map(machine.cpus.front(), cpus),
                    "--no-pci",      "--file-prefix",
                    "vhostx-switch", "--log-level=error"};
  choose_memory(plan, machine, nodes_of(cpus), plan_pool(options.port_count(), workers).bytes + eal_bytes);
  return plan;
}

Result<std::vector<unsigned>> start_eal(const Options& options, const EalPlan& plan) {
  const auto line = fmt::format("{}", fmt::join(plan.arguments, " "));
  if (auto started = init_eal(plan.arguments, line); !started) return started.error();
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

void start_again(const std::vector<std::string>& eal_arguments) {
  std::vector<std::string> words;
  std::ifstream command_line("/proc/self/cmdline");
  for (std::string word; std::getline(command_line, word, '\0');) words.push_back(word);
  if (words.empty()) return;
  if (words.size() < 2 || words[1] != "--") words.insert(words.begin() + 1, "--");  // it may have stood there alone
  words.insert(words.begin() + 1, eal_arguments.begin(), eal_arguments.end());
  ::execv("/proc/self/exe", as_argv(words).data());
}

std::string describe_memory_needed(const PoolPlan& plan) {
  return fmt::format("{} MiB of memory in EAL (free huge pages, or --no-huge -m {})", plan.bytes / mebibyte,
                     2 * (plan.bytes + eal_bytes) / mebibyte);
}

}  // namespace vhostx::tools
