// SPDX-License-Identifier: BSD-3-Clause
// Packets without mbuf chains, for applications that know none.
#pragma once

struct rte_mbuf;

namespace vhostx::compat {

/// Copies a chain, fresh from a dequeue, into one external buffer from rte_malloc(), of which its first mbuf then is
/// the only one. False, and unchanged: not `allowed`, larger than an mbuf can tell (65,535 bytes), or no memory.
bool make_linear(rte_mbuf* packet, bool allowed) noexcept;

}  // namespace vhostx::compat
