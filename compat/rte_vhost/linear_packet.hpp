// SPDX-License-Identifier: BSD-3-Clause
// Packets without mbuf chains, for applications that do not handle chains.
#pragma once

struct rte_mbuf;

namespace vhostx::compat {

/// Copies a chain from a dequeue into one external buffer from rte_malloc(), and makes its first mbuf the only one.
/// False, and unchanged: not `allowed`, larger than an mbuf's length field holds (65,535 bytes), or no memory.
bool make_linear(rte_mbuf* packet, bool allowed) noexcept;

}  // namespace vhostx::compat
