// SPDX-License-Identifier: BSD-3-Clause
// What the calls that lend need beside a net::RingContext.
#pragma once

#include <rte_mbuf.h>

#include "zerocopy/loan_table.hpp"

namespace vhostx::zerocopy {

struct Lending {
  LoanTable& table;
  MemoryPin& pin;  ///< Of the memory that the ring's context has.
};

/// Whether mbufs of the pool can be attached to other buffers: those with pinned ones cannot.
inline bool can_attach(rte_mempool* pool) noexcept {
  return (rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) == 0;
}

}  // namespace vhostx::zerocopy
