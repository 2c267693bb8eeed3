// SPDX-License-Identifier: BSD-3-Clause
// Guest to guest, the sender's side: packets are looked at where they lie, and given back when they were moved.
#pragma once

#include <cstdint>

#include "net/peeked_burst.hpp"
#include "net/ring_context.hpp"

struct rte_mempool;

namespace vhostx::net {

/// Looks at the next packets of a transmitq, at most `count` and batch_max, and leaves them in the ring: `burst` is
/// filled anew. What cannot be a packet is given back with the packets before it; where none is before it, at once:
/// `needs_call` of the result speaks of that, `packets` of those found. A driver that lies sets context.cursor.fault
/// when no packet is left before the lie.
BurstResult peek(const RingContext& context, std::uint16_t count, PeekedBurst& burst) noexcept;

/// Gives the first `taken` packets of the burst back to the driver that peek() found them at, and counts them. The
/// others stay in the ring. The burst is over.
BurstResult give_back(const RingContext& context, const PeekedBurst& burst, std::uint16_t taken) noexcept;

/// Packet `i` as dequeue() makes it. Null when the pool is empty.
rte_mbuf* copy_out(PeekedBurst& burst, std::size_t i, rte_mempool* pool) noexcept;

}  // namespace vhostx::net
