// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment for the switch: options for EAL that suit the machine, lcores, how large pools are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/switch/eal_cpus.hpp"
#include "tools/switch/options.hpp"

namespace vhostx::tools {

/// Of the pool of each node, which may have to serve all workers: how many mbufs, and how many of them may wait in the
/// backlogs of one port.
struct PoolPlan {
  std::uint32_t mbufs = 0;
  std::uint32_t backlog_segments = 0;
  std::uint32_t backlog_segments_all = 0;  ///< Of all ports together.
  std::uint64_t bytes = 0;                 ///< Of memory, roughly and rather too many.
};
/// How many of them one of so many ports gets.
std::uint32_t backlog_share(std::uint32_t backlog_segments_all, std::size_t ports) noexcept;
/// For how many ports they are enough, each with room for more than one packet of 64 KiB.
std::size_t ports_for(std::uint32_t backlog_segments_all) noexcept;
PoolPlan plan_pool(std::size_t ports, unsigned workers) noexcept;

struct EalPlan {
  std::vector<std::string> arguments;  ///< Without the program's name.
  std::string memory;                  ///< For people: what memory was chosen, and why.
  /// The same without huge pages, for when those that were free are not to be had: another process was faster, or a
  /// control group has a limit for them. Empty: there is no other way.
  std::vector<std::string> otherwise;
};
/// Pure. With EAL options of the user's own they are the plan.
EalPlan plan_eal(const Options& options, const MachineFacts& machine);

/// Starts EAL: once in a process. Returns the worker lcores' ids; at most `Options::workers` of them.
/// Errors: invalid_argument (EAL refused its options, or they leave no worker lcore).
Result<std::vector<unsigned>> start_eal(const Options& options, const EalPlan& plan);

/// Runs the program anew with these EAL options before its own: EAL starts once in a process. Only for a command line
/// without EAL options. Returns if that was not possible.
void start_again(const std::vector<std::string>& eal_arguments);

/// What EAL has to have for such a pool, for people.
std::string describe_memory_needed(const PoolPlan& plan);

}  // namespace vhostx::tools
