// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_transfer: packets from one guest straight into another, copied once.
#pragma once

#include <stdint.h>

#include <vhostx/c/error.h>
#include <vhostx/c/peeked_packet.h>
#include <vhostx/c/vring.h>

struct rte_mbuf;
struct rte_mempool;

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Bounds of a transfer.
enum vhostx_transfer_bounds {
  VHOSTX_TRANSFER_BURST_MAX = 32  ///< Packets of one burst.
};

/// Moves packets from a from-guest vring into to-guest vrings of any ports, descriptor to descriptor, without mbufs
/// between. The switch looks at private copies of the packets' first bytes; the rest is copied once, from the one
/// guest's pages into the other's.
///
///     vhostx_peeked_packet* packets = vhostx_transfer_packets(transfer);    // once
///     uint16_t count = vhostx_transfer_begin(transfer, from, 32);
///     if (count == 0) return;
///     ... look at packets[i].head, i < count; sort packet numbers by destination ...
///     uint16_t moved = vhostx_transfer_move(transfer, numbers, how_many, to);  // again for each destination
///     struct rte_mbuf* packet = vhostx_transfer_copy(transfer, i, pool);       // where an mbuf is wanted
///     vhostx_transfer_end(transfer, count);
///
/// Between begin and end the source vring is in use, as in a burst: its control thread waits for the end before it
/// answers GET_VRING_BASE, changes the memory table or closes the port. So call nothing there that waits for a control
/// thread (opening and closing ports, vhostx_port_get_info()), and take no longer than a burst takes.
///
/// Threads: a transfer belongs to one thread at a time, and so does each vring while it is used. After
/// vhostx_transfer_create() nothing locks or allocates (but mbufs).
typedef struct vhostx_transfer vhostx_transfer;

/// About 160 KiB, allocated here and never again. On a machine with several NUMA nodes call it on the thread that will
/// use it. Null: VHOSTX_SYSTEM (no memory).
vhostx_transfer* vhostx_transfer_create(vhostx_error* error);
/// Frees it; no burst has begun and not ended. Any thread.
void vhostx_transfer_destroy(vhostx_transfer* transfer);

/// Looks at the next packets of a from-guest vring, at most `count` and VHOSTX_TRANSFER_BURST_MAX, and leaves them
/// where they are. Returns how many. 0: nothing was begun, and vhostx_transfer_end() is not called; so it is on a vring
/// that is stopped, broken or to the guest. On one that is started and disabled packets are consumed and dropped. What
/// cannot be a packet is counted and given back with the packets before it. A driver that lies breaks the vring when
/// the packets before the lie are gone. After SEND_RARP one burst is the library's own RARP frame alone, which the
/// counters do not have.
uint16_t vhostx_transfer_begin(vhostx_transfer* transfer, vhostx_vring* from, uint16_t count);

/// VHOSTX_TRANSFER_BURST_MAX packets at the same address for the transfer's life. Those below what
/// vhostx_transfer_begin() returned are good until vhostx_transfer_end().
vhostx_peeked_packet* vhostx_transfer_packets(vhostx_transfer* transfer);

/// Copies packets, by number and in this order, into the receive buffers of `to`. Returns how many are dealt with, as
/// vhostx_vring_enqueue_burst() does: delivered, or dropped and counted because this guest can never take them; the
/// rest may be offered again. What the receiver did not negotiate is completed in software. A packet may go to several
/// vrings.
uint16_t vhostx_transfer_move(vhostx_transfer* transfer, const uint8_t* which, uint16_t count, vhostx_vring* to);

/// Packet `i` as vhostx_vring_dequeue_burst() would have given it: a private mbuf, or a chain of them, with receive
/// flags; the caller's to free. Null when the pool is empty (counted, VHOSTX_COUNTER_STALL_NO_MBUF).
struct rte_mbuf* vhostx_transfer_copy(vhostx_transfer* transfer, uint16_t i, struct rte_mempool* pool);

/// Gives the first `done` packets' buffers back to the guest that sent them; the others come again with the next
/// vhostx_transfer_begin(). Counts the packets as taken.
void vhostx_transfer_end(vhostx_transfer* transfer, uint16_t done);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
