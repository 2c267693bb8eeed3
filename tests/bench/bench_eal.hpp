// SPDX-License-Identifier: BSD-3-Clause
// EAL and mbufs as an application has them: huge pages when there are any, a pool with a cache.
#pragma once

struct rte_mempool;

namespace vhostx::bench {

enum class Pages { huge_if_any, normal };

/// Vector width that DPDK, and whoever asks it, may use: what every x86-64 machine has, or all that this one has.
enum class Simd { baseline, any };

/// Once a process: later calls do nothing. Ends it with a message when it fails. valgrind wants normal pages, and
/// knows no AVX-512 (3.19).
void start_bench_eal(Pages pages, Simd simd = Simd::any);

/// 8191 mbufs of 2048 bytes.
rte_mempool* bench_pool();

}  // namespace vhostx::bench
