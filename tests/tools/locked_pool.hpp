// SPDX-License-Identifier: BSD-3-Clause
// LockedPool: a pool of mbufs behind a mutex. DPDK's own rings are compiled without ThreadSanitizer, which then sees
// nothing that orders one thread's use of an mbuf before the next one's.
#pragma once

#include <cstdint>

struct rte_mempool;

namespace vhostx::test {

/// EAL is started by it. Any thread may take and free.
class LockedPool {
 public:
  explicit LockedPool(unsigned mbufs);
  ~LockedPool();
  LockedPool(const LockedPool&) = delete;
  LockedPool& operator=(const LockedPool&) = delete;

  rte_mempool* get() const noexcept { return pool_; }

 private:
  rte_mempool* pool_;
};

}  // namespace vhostx::test
