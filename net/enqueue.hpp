// SPDX-License-Identifier: BSD-3-Clause
// Host to guest: from mbufs to a receiveq's chains.
#pragma once

#include <cstdint>

#include "net/ring_context.hpp"

struct rte_mbuf;

namespace vhostx::net {

/// Copies packets into the guest's receive buffers, in order. `packets` of the result counts the handled ones:
/// delivered, or dropped and counted by cause. It stops before a packet for which the driver has posted too few
/// buffers. At a chain that breaks the specification it sets context.cursor.fault. The mbufs are not changed.
template <Context C>
BurstResult enqueue(const C& context, rte_mbuf* const* packets, std::uint16_t count) noexcept;
/// The same as part of a call that has this budget.
template <Context C>
BurstResult enqueue(const C& context, rte_mbuf* const* packets, std::uint16_t count,
                    virtqueue::WalkBudget& budget) noexcept;

}  // namespace vhostx::net
