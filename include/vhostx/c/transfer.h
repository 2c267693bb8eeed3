// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_transfer: moves packets from one guest to another with one copy.
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
  VHOSTX_TRANSFER_BURST_MAX = 32  ///< Most packets of one burst.
};

/// Moves packets from a from-guest vring into to-guest vrings of any ports, descriptor to descriptor, without mbufs.
/// The application looks at private copies of the packets' first bytes. The CPU copies the rest once, from one guest's
/// memory to the other's.
///
///     vhostx_peeked_packet* packets = vhostx_transfer_packets(transfer);    // once
///     uint16_t count = vhostx_transfer_begin(transfer, from, 32);
///     if (count == 0) return;
///     ... look at packets[i].head, i < count; sort packet numbers by destination ...
///     uint16_t moved = vhostx_transfer_move(transfer, numbers, how_many, to);  // for each destination
///     struct rte_mbuf* packet = vhostx_transfer_copy(transfer, i, pool);       // if an mbuf is needed
///     vhostx_transfer_end(transfer, count);
///
/// Between begin and end the source vring is in use, as during a burst: its control thread waits for the end before it
/// answers GET_VRING_BASE, changes the memory table or closes the port. In between, call nothing that waits for a
/// control thread (opening or closing a port, vhostx_port_look_at_placement()), and take no longer than a burst takes.
///
/// Threads: one thread at a time uses a transfer, and each vring while it is in use. After vhostx_transfer_create() no
/// function takes a lock, logs, or allocates anything but mbufs (in vhostx_transfer_copy()).
typedef struct vhostx_transfer vhostx_transfer;

/// Creates a transfer. Allocates about 160 KiB, and nothing later. On a machine with several NUMA nodes call it on the
/// thread that will use it: a page is allocated on the node of the CPU that first writes it. Null on error:
/// VHOSTX_SYSTEM (no memory). Any thread.
vhostx_transfer* vhostx_transfer_create(vhostx_error* error);
/// Destroys a transfer. No burst may be between begin and end (asserted). Any thread.
void vhostx_transfer_destroy(vhostx_transfer* transfer);

/// Looks at the next packets of a from-guest vring, at most `count` and VHOSTX_TRANSFER_BURST_MAX, and leaves them in
/// the ring. Returns how many there are. With 0 no burst has begun: do not call vhostx_transfer_end(). Returns 0 on a
/// vring that is stopped, broken or to the guest. On a vring that is started and disabled it consumes and drops the
/// packets and returns 0.
///
/// A chain that is no packet, or whose net header contradicts it, is counted as in vhostx_vring_dequeue_burst() and
/// returned to the guest with the packets before it. A driver that breaks the specification breaks the vring once the
/// packets before the fault are taken. After SEND_RARP one burst is only the library's own RARP frame, which the
/// counters do not include.
uint16_t vhostx_transfer_begin(vhostx_transfer* transfer, vhostx_vring* from, uint16_t count);

/// Array of VHOSTX_TRANSFER_BURST_MAX packets. The transfer owns it, at the same address for its whole life. The first
/// N, where N is the return value of vhostx_transfer_begin(), are valid until vhostx_transfer_end().
vhostx_peeked_packet* vhostx_transfer_packets(vhostx_transfer* transfer);

/// Copies the packets with the `count` numbers at `which`, in this order, into the receive buffers of `to`. Returns the
/// number of packets that were handled, as vhostx_vring_enqueue_burst() does: delivered, or dropped and counted because
/// this guest can never take them. The rest may be offered again (see vhostx_vring_enqueue_end()). What the receiver
/// did not negotiate is completed in software. If a checksum must be computed for it, the packet is copied twice, so
/// that guest memory is read only once. A packet may go to several vrings.
uint16_t vhostx_transfer_move(vhostx_transfer* transfer, const uint8_t* which, uint16_t count, vhostx_vring* to);

/// Copies packet `i` into an mbuf, or a chain of them, with the receive flags that vhostx_vring_dequeue_burst() sets.
/// The caller owns it and frees it. Null when the pool is empty (counted on the source vring,
/// VHOSTX_COUNTER_STALL_NO_MBUF), or when a dequeue burst could not use it (VHOSTX_COUNTER_STALL_BAD_POOL).
struct rte_mbuf* vhostx_transfer_copy(vhostx_transfer* transfer, uint16_t i, struct rte_mempool* pool);

/// Ends the burst. Returns the buffers of the first `taken` packets to their guest and counts them as taken. The next
/// vhostx_transfer_begin() finds the others again. `taken` is at most the return value of vhostx_transfer_begin()
/// (asserted).
void vhostx_transfer_end(vhostx_transfer* transfer, uint16_t taken);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
