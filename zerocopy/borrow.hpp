// SPDX-License-Identifier: BSD-3-Clause
// Host to guest without a copy: mbufs attached to the guest's receive buffers, which somebody else fills.
#pragma once

#include <cstdint>

#include "net/ring_context.hpp"
#include "zerocopy/lending.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::zerocopy {

/// Takes up to `count` of the receive buffers that the driver has posted, as empty mbufs of `pool` (chains, where a
/// buffer is in several pieces) behind room for the net header. Stops at a chain that cannot be lent: its net header is
/// cut, or it is in too many pieces; net::enqueue() can take it. A driver that lies sets context.cursor.fault.
/// `packets` of the result counts mbufs.
net::BurstResult borrow(const net::RingContext& context, const Lending& lending, rte_mempool* pool, rte_mbuf** buffers,
                        std::uint16_t count) noexcept;

/// Shows the driver packets in buffers of borrow(); each is one borrowed mbuf, or several linked, and is freed. What
/// cannot be delivered is counted, and its buffers are spare again. `packets` of the result counts those delivered.
net::BurstResult commit(const net::RingContext& context, const Lending& lending, rte_mbuf** packets,
                        std::uint16_t count) noexcept;

/// Chains whose mbufs were freed without commit(): they are lent next. Returns how many came back.
std::uint32_t keep_returned(LoanTable& table) noexcept;
/// The same; where the driver has no other buffers posted, spare ones go back to it, empty. `packets` of the result
/// counts those that came back.
net::BurstResult keep_returned(const net::RingContext& context, LoanTable& table) noexcept;

/// Gives the driver all spare chains back, empty, so that it posts them again.
net::BurstResult return_spares(const net::RingContext& context, LoanTable& table) noexcept;

}  // namespace vhostx::zerocopy
