// SPDX-License-Identifier: BSD-3-Clause
// Host to guest: from mbufs to a receiveq's chains.
#pragma once

#include <cstdint>

#include "net/ring_context.hpp"

struct rte_mbuf;

namespace vhostx::net {

/// Copies packets into the guest's receive buffers, in order. `packets` of the result counts those dealt with:
/// delivered, or dropped for a cause that is counted. It stops before a packet for which the driver has posted too few
/// buffers. A driver that lies sets context.cursor.fault. The mbufs are not changed.
BurstResult enqueue(const RingContext& context, rte_mbuf* const* packets, std::uint16_t count) noexcept;
/// The same as a part of a call whose budget is `budget`.
BurstResult enqueue(const RingContext& context, rte_mbuf* const* packets, std::uint16_t count,
                    virtqueue::WalkBudget& budget) noexcept;

}  // namespace vhostx::net
