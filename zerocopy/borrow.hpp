// SPDX-License-Identifier: BSD-3-Clause
// Host to guest without a copy: mbufs attached to the guest's receive buffers, for the application or a NIC to fill.
#pragma once

#include <cstdint>

#include "net/ring_context.hpp"
#include "zerocopy/lending.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::zerocopy {

/// Takes up to `count` of the receive buffers that the driver has posted, as empty mbufs of `pool` after room for the
/// net header (mbuf chains if a buffer is in several pieces). Stops at a chain that cannot be lent, because its net
/// header is cut or it has too many pieces; net::enqueue() can use it. A chain that breaks the specification sets
/// context.cursor.fault. `packets` of the result counts mbufs.
template <net::Context C>
net::BurstResult borrow(const C& context, const Lending& lending, rte_mempool* pool, rte_mbuf** buffers,
                        std::uint16_t count) noexcept;

/// Publishes packets in buffers of borrow() to the driver. Each is one borrowed mbuf, or several linked, and is freed.
/// A packet that cannot be delivered is counted, and its buffers are spare again. `packets` of the result counts
/// delivered packets.
template <net::Context C>
net::BurstResult commit(const C& context, const Lending& lending, rte_mbuf** packets, std::uint16_t count) noexcept;

/// Keeps chains whose mbufs were freed without commit(), to be lent next. Returns how many came back.
std::uint32_t keep_returned(LoanTable& table) noexcept;
/// The same. If the driver has no other buffers posted, it gets the spare ones back, empty. `packets` of the result
/// counts chains that came back.
template <net::Context C>
net::BurstResult keep_returned(const C& context, LoanTable& table) noexcept;

/// Returns all spare chains to the driver, empty, so that it posts them again.
template <net::Context C>
net::BurstResult return_spares(const C& context, LoanTable& table) noexcept;

}  // namespace vhostx::zerocopy
