// SPDX-License-Identifier: BSD-3-Clause
// What the lending calls need in addition to a net::RingContext.
#pragma once

#include <rte_mbuf.h>

#include "zerocopy/loan_table.hpp"

namespace vhostx::zerocopy {

struct Lending {
  LoanTable& table;
  MemoryPin& pin;  ///< Pins the memory of the ring's context.
};

/// Whether mbufs of the pool can be attached to other buffers. Mbufs with pinned external buffers cannot.
inline bool can_attach(rte_mempool* pool) noexcept {
  return (rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) == 0;
}

}  // namespace vhostx::zerocopy
