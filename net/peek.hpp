// SPDX-License-Identifier: BSD-3-Clause
// Guest to guest, the sender's side: peeks at packets in place, and returns them once they were moved.
#pragma once

#include <cstdint>

#include "net/peeked_burst.hpp"
#include "net/ring_context.hpp"

struct rte_mempool;

namespace vhostx::net {

/// Looks at the next packets of a transmitq, at most `count` and batch_max, and leaves them in the ring. Replaces the
/// content of `burst`. `packets` of the result is how many it found. A chain that cannot be a packet is returned with
/// the packets before it, or at once if there are none; `needs_call` then says whether the driver wants a notification
/// for that. A chain that breaks the specification sets context.cursor.fault once no packet is before it.
template <Context C>
BurstResult peek(const C& context, std::uint16_t count, PeekedBurst& burst) noexcept;

/// Returns the first `taken` packets of the burst to the driver and counts them. The others stay in the ring. The burst
/// is over.
template <Context C>
BurstResult give_back(const C& context, const PeekedBurst& burst, std::uint16_t taken) noexcept;

/// Packet `i` as dequeue() makes it. Null when the pool is empty.
rte_mbuf* copy_out(PeekedBurst& burst, std::size_t i, rte_mempool* pool) noexcept;

}  // namespace vhostx::net
