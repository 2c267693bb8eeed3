// SPDX-License-Identifier: BSD-3-Clause
// EAL and mbufs as an application has them: huge pages when there are any, a pool with a cache.
#pragma once

struct rte_mempool;

namespace vhostx::bench {

enum class Pages { huge_if_any, normal };

/// Once a process: later calls do nothing. Ends it with a message when it fails. valgrind wants normal pages.
void start_bench_eal(Pages pages);

/// 8191 mbufs of 2048 bytes.
rte_mempool* bench_pool();

}  // namespace vhostx::bench
