// SPDX-License-Identifier: BSD-3-Clause
// Guest to host without a copy: mbufs attached to the guest's transmit buffers.
#pragma once

#include <cstdint>

#include "net/ring_context.hpp"
#include "zerocopy/lending.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::zerocopy {

/// As net::dequeue(), but packets of LoanTable::copy_below() bytes and more are lent while loans are left. First
/// returns chains that have come back to the driver.
template <net::Context C>
net::BurstResult dequeue(const C& context, const Lending& lending, rte_mempool* pool, rte_mbuf** packets,
                         std::uint16_t count) noexcept;

/// Returns the chains that have come back to the driver, in any order. `packets` of the result counts them.
template <net::Context C>
net::BurstResult return_transmitted(const C& context, LoanTable& table) noexcept;

/// Closes the table, and returns the chains that are still lent. `packets` of the result counts them.
template <net::Context C>
net::BurstResult take_back(const C& context, LoanTable& table) noexcept;

}  // namespace vhostx::zerocopy
