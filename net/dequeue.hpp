// SPDX-License-Identifier: BSD-3-Clause
// Guest to host: from a transmitq's chains to mbufs.
#pragma once

#include <cstdint>

#include "net/ring_context.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::net {

/// Copies up to `count` packets into mbufs of `pool`. What cannot be a packet is dropped and counted; a driver that
/// lies sets context.cursor.fault, after the packets before the lie were delivered. Nothing is lost when the pool is
/// empty.
BurstResult dequeue(const RingContext& context, rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept;

/// Takes everything that is there and drops it: a transmit ring that is started and disabled (vhost-user "Ring
/// states").
BurstResult drop_available(const RingContext& context) noexcept;

}  // namespace vhostx::net
