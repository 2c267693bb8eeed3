// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Converts the offloads that a guest requested into requests to a NIC.
#pragma once

#include <stdbool.h>

struct rte_mbuf;

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Converts the receive offloads of an mbuf from vhostx_vring_dequeue_burst() into transmit offloads, for
/// rte_eth_tx_burst(). Call rte_eth_tx_prepare() before that, as always.
///
///   * RTE_MBUF_F_RX_L4_CKSUM_NONE becomes RTE_MBUF_F_TX_TCP_CKSUM or _UDP_CKSUM.
///   * RTE_MBUF_F_RX_LRO becomes RTE_MBUF_F_TX_TCP_SEG or _UDP_SEG, for IPv4 with RTE_MBUF_F_TX_IP_CKSUM; tso_segsz is
///     kept. If the packet is a single segment, the flag is cleared.
///   * l2_len, l3_len and l4_len are set from the packet's own headers, with RTE_MBUF_F_TX_IPV4 or _IPV6.
///
/// An mbuf without such flags is not changed. Returns false, and changes nothing, if the headers do not allow it (not
/// TCP or UDP, truncated, behind an IPv6 routing header) or tso_segsz is 0: drop the packet, or complete it another
/// way. The caller owns the mbuf. Any thread.
bool vhostx_to_transmit_offload(struct rte_mbuf* packet);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
