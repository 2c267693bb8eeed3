// SPDX-License-Identifier: BSD-3-Clause
// DPDK for unit tests: one EAL a process, without huge pages, devices or files, and pools of mbufs.
#pragma once

#include <cstdint>
#include <string>

struct rte_mempool;

namespace vhostx::test {

/// Starts the EAL if this process has none yet; ends the process with a message if that fails.
void start_eal();

/// The same in huge pages, with physical addresses as IOVAs, for a process that has no EAL yet. Empty when it runs;
/// else why this machine cannot.
std::string start_physical_eal();

/// A pool whose mbufs have `room` bytes behind the usual headroom; the same one for the same arguments.
rte_mempool* test_pool(std::uint16_t room = 2048, unsigned count = 1023);

}  // namespace vhostx::test
