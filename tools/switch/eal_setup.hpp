// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment for the switch: options for EAL that suit the machine, lcores, the mbuf pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/switch/options.hpp"

struct rte_mempool;

namespace vhostx::tools {

/// What the choice depends on.
struct MachineFacts {
  std::vector<unsigned> cpus;         ///< This process may run on them (sched_getaffinity).
  std::uint64_t huge_bytes_free = 0;  ///< In huge pages of all sizes, neither used nor reserved.
  std::uint64_t huge_page_bytes = 0;  ///< Of the size that has most free; 0: none free.
};
MachineFacts read_machine();

/// How many mbufs, and how many of them may wait in the backlogs of one port.
struct PoolPlan {
  std::uint32_t mbufs = 0;
  std::uint32_t backlog_segments = 0;
  std::uint64_t bytes = 0;  ///< Of memory, roughly and rather too many.
};
PoolPlan plan_pool(std::size_t ports, unsigned workers) noexcept;

struct EalPlan {
  std::vector<std::string> arguments;  ///< Without the program's name.
  std::string memory;                  ///< For people: what memory was chosen, and why.
};
/// Pure. With EAL options of the user's own they are the plan.
EalPlan plan_eal(const Options& options, const MachineFacts& machine);

/// Starts EAL: once in a process. Returns the worker lcores' ids; at most `Options::workers` of them.
/// Errors: invalid_argument (EAL refused its options, or they leave no worker lcore).
Result<std::vector<unsigned>> start_eal(const Options& options, const EalPlan& plan);

/// Errors: out_of_memory. Call after start_eal.
Result<rte_mempool*> make_pool(const PoolPlan& plan);

}  // namespace vhostx::tools
