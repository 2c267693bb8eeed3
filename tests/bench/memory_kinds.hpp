// SPDX-License-Identifier: BSD-3-Clause
// What lies where, told to tests/bench/count-lines: lines `KIND BEGIN BYTES` on standard output, and marks around what
// is measured.
#pragma once

#include <cstdint>

#include "virtqueue/ring_layout.hpp"

struct rte_mempool;

namespace vhostx {
class Vring;
}

namespace vhostx::bench {

/// A ring that runs: its three parts, the guest's memory, the library's state of it and its table of regions. This
/// looks into the library, where an application cannot.
void tell_vring(Vring& vring, const virtqueue::RingAddresses& addresses);
/// The mbufs, the data behind them, the pool and its cache.
void tell_pool(rte_mempool* pool);

/// Writes to them are seen in a trace of the memory, and are a measured part's begin and end.
struct alignas(64) Marks {
  volatile std::uint64_t begin = 0;
  volatile std::uint64_t end = 0;
};
inline Marks marks;
/// The marks, and `ready`; then waits for a line on standard input: whoever reads the trace knows all by then.
void tell_marks_and_wait();

}  // namespace vhostx::bench
