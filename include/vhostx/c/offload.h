// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// From what a guest asked for to what a NIC is asked to do.
#pragma once

#include <stdbool.h>

struct rte_mbuf;

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Turns the receive-side offloads of an mbuf from vhostx_vring_dequeue_burst() into transmit-side ones, for
/// rte_eth_tx_burst (call rte_eth_tx_prepare there, as always): RTE_MBUF_F_RX_L4_CKSUM_NONE becomes
/// RTE_MBUF_F_TX_TCP_CKSUM or _UDP_CKSUM, RTE_MBUF_F_RX_LRO becomes RTE_MBUF_F_TX_TCP_SEG or _UDP_SEG with tso_segsz
/// kept (for IPv4 with RTE_MBUF_F_TX_IP_CKSUM), or goes when the packet is a single segment; l2_len, l3_len and l4_len
/// are filled in from the packet's own headers, with RTE_MBUF_F_TX_IPV4 or _IPV6. An mbuf without such flags is left as
/// it is. Returns false, and changes nothing, when the headers do not allow it (not TCP or UDP, truncated, behind an
/// IPv6 routing header) or tso_segsz is 0: drop the packet or complete it otherwise. Any thread; the mbuf is the
/// caller's.
bool vhostx_to_transmit_offload(struct rte_mbuf* packet);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
