// SPDX-License-Identifier: BSD-3-Clause
// A flow's hash: the same for all packets of one TCP or UDP flow in one direction, so that they stay in order.
#pragma once

#include <cstddef>
#include <cstdint>

struct rte_mbuf;

namespace vhostx::tools {

/// Over addresses, protocol and ports for IPv4 and IPv6 with up to two VLAN tags; over the addresses alone for
/// fragments (later ones have no ports) and behind extension headers; over the MAC addresses for everything else.
/// `packet` holds at least an Ethernet header in its first segment; what lies in later segments is not looked at.
std::uint32_t flow_hash(const rte_mbuf* packet) noexcept;

/// The same for a packet whose first `length` bytes, at least 14, are at `head`. Nothing behind the first 86 bytes is
/// ever looked at, so that a flow's hash does not depend on how many are there.
std::uint32_t flow_hash(const void* head, std::size_t length) noexcept;

}  // namespace vhostx::tools
