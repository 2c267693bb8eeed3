// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/eal_cpus.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <string>
#include <unistd.h>

#include <sys/syscall.h>

#include <vhostx/numa.hpp>

namespace vhostx::tools {
namespace {

namespace fs = std::filesystem;

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

void add_nodes(MachineFacts& facts) {
  const auto size = "hugepages-" + std::to_string(facts.huge_page_bytes / 1024) + "kB";
  for (const auto cpu : facts.cpus) facts.cpu_nodes.push_back(node_of_cpu(cpu));
  for (const int node : memory_nodes()) {
    const fs::path pages = "/sys/devices/system/node/node" + std::to_string(node) + "/hugepages/" + size;
    facts.huge_bytes_free_on[node] = read_number(pages / "free_hugepages") * facts.huge_page_bytes;
  }
}

/// A kernel without NUMA has no such call: EAL does not ask it there.
bool mempolicy_is_denied() {
  int mode = 0;
  return ::syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0) != 0 && errno != ENOSYS;
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
  add_nodes(facts);
  facts.mempolicy_denied = mempolicy_is_denied();
  return facts;
}

std::vector<WorkerCpu> worker_cpus(const MachineFacts& machine, unsigned workers) {
  std::vector<std::vector<WorkerCpu>> nodes;  // the last CPU's first
  for (auto i = machine.cpus.size(); i-- != 0;) {
    const WorkerCpu cpu{machine.cpus[i], machine.node_of(i)};
    auto node = std::find_if(nodes.begin(), nodes.end(), [&](const auto& n) { return n.front().node == cpu.node; });
    if (node == nodes.end()) node = nodes.insert(nodes.end(), std::vector<WorkerCpu>());
    // That loop ends with the first CPU: the main thread's.
    if (i != 0 || node->empty()) node->push_back(cpu);
  }
  std::vector<WorkerCpu> turn;
  for (std::size_t round = 0; round < machine.cpus.size(); ++round)
    for (const auto& node : nodes)
      if (round < node.size()) turn.push_back(node[round]);
  if (turn.size() < machine.cpus.size()) turn.push_back({machine.cpus.front(), machine.node_of(0)});
  std::vector<WorkerCpu> chosen;
  for (unsigned worker = 0; worker < workers; ++worker) chosen.push_back(turn[worker % turn.size()]);
  return chosen;
}

}  // namespace vhostx::tools
