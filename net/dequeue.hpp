// SPDX-License-Identifier: BSD-3-Clause
// Guest to host: from a transmitq's chains to mbufs.
#pragma once

#include <cstdint>

#include "net/ring_context.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace vhostx::net {

/// Copies up to `count` packets into mbufs of `pool`. A chain that cannot be a packet is dropped and counted. At a
/// chain that breaks the specification it sets context.cursor.fault; packets before that chain are delivered. If the
/// pool is empty, packets stay in the ring.
template <Context C>
BurstResult dequeue(const C& context, rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept;

/// Drops everything that is available: for a transmit ring that is started and disabled (vhost-user "Ring states").
template <Context C>
BurstResult drop_available(const C& context) noexcept;

}  // namespace vhostx::net
