// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_vring: one virtqueue of a port, as the application's lcores use it.
///
/// The dequeue, enqueue, borrow and commit bursts, vhostx_vring_poll_completions() and
/// vhostx_vring_set_notifications(), vhostx_vring_call_guest(), vhostx_vring_pending(), vhostx_vring_enqueue_end() and
/// vhostx_vring_get_avail_watch() of one vring are called by one thread at a time; which thread may change between
/// calls. Different vrings are independent. The other functions may be called from any thread. None but
/// vhostx_vring_get_loans() and vhostx_vring_get_placement() allocates (but mbufs), locks or logs; the only system call
/// is the one that signals an eventfd.
///
/// A call ends, whatever the ring says: it begins no further chain when it has walked 32768 descriptors or looked at
/// 4096 pages (a page of more than 32 KiB counts as its size in units of 32 KiB), so that one call walks at most 65536
/// descriptors. It may return 0 before the ring is empty: vhostx_vring_set_notifications() and vhostx_vring_pending()
/// say so. A ring whose calls walk that much without a packet 16 times in a row, over 256 descriptors a chain, is
/// broken (VHOSTX_FAULT_FRUITLESS).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhostx/c/error.h>
#include <vhostx/c/placement.h>
#include <vhostx/c/vring_stats.h>

struct rte_mbuf;
struct rte_mempool;

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// One virtqueue. It is its port's, at the same address for the port's whole life.
typedef struct vhostx_vring vhostx_vring;

/// A vring's two axes (vhost-user, "Ring states"), and the third that a lying driver adds: bits.
enum vhostx_vring_state {
  VHOSTX_VRING_STARTED = 1,  ///< From VHOSTX_EVENT_VRING_STARTED until the ring stops.
  VHOSTX_VRING_ENABLED = 2,  ///< SET_VRING_ENABLE 1, or VHOST_USER_F_PROTOCOL_FEATURES was not negotiated.
  VHOSTX_VRING_BROKEN = 4    ///< The driver lied; sticky until the ring is started again.
};

/// Why a burst to a guest left packets. Packets that the guest can never take are not among those: they were dropped.
enum vhostx_enqueue_end {
  VHOSTX_ENQUEUE_NOT_RUNNING = 0,  ///< The vring is stopped, disabled or broken: drop what waits.
  VHOSTX_ENQUEUE_NO_BUFFERS = 1,   ///< The driver has no buffers posted: offer them again; when too many wait, drop the
                                   ///< newest.
  VHOSTX_ENQUEUE_FEW_BUFFERS = 2,  ///< The driver has buffers posted, but the next packet takes more than all of them.
                                   ///< Offer it again for a while (vhostx-switch: 100 ms and 16 tries), then drop it:
                                   ///< else one packet holds back all others for this guest.
  VHOSTX_ENQUEUE_BUDGET = 3        ///< The call has looked at as much of the ring as one call may: offer them again.
};

/// What is out of a port with zero copy: packets that a dequeue lent, buffers that a borrow handed out.
typedef struct vhostx_loan_state {
  uint32_t outstanding;    ///< Of the ring as it runs, as far as its data thread has looked.
  uint32_t overdue;        ///< Of rings that have stopped without them.
  uint64_t oldest_age_us;  ///< Microseconds since the oldest of all of them was lent; 0: none is out.
} vhostx_loan_state;

/// Where the driver says that it has posted buffers, and what it had said when a burst last looked: for a processor
/// that waits until a line of memory changes (rte_power_monitor()). Once they differ there is something to take.
typedef struct vhostx_avail_watch {
  const volatile uint16_t* index;  ///< In guest memory: good until VHOSTX_EVENT_VRING_STOPPED or
                                   ///< VHOSTX_EVENT_MEMORY_CHANGED is delivered. Null: the ring is not running, or is
                                   ///< broken.
  uint16_t seen;                   ///< What it had said.
} vhostx_avail_watch;

/// Index within the device, 0 to 2 * queue pairs - 1. Even: to the guest (its receiveq, VIRTIO 1.2, 5.1.2). Odd: from
/// the guest (its transmitq).
uint16_t vhostx_vring_index(const vhostx_vring* vring);
/// Whether it carries packets from the guest.
bool vhostx_vring_is_from_guest(const vhostx_vring* vring);

/// Guest to host. Takes up to `count` packets that the guest transmitted and copies them into mbufs from `pool`;
/// packets larger than an mbuf's room become mbuf chains. Returns how many, all of them the caller's to free. Offloads
/// stand in ol_flags as an ethdev driver would set them on receive: RTE_MBUF_F_RX_L4_CKSUM_NONE (the checksum is
/// partial, the data is good) and RTE_MBUF_F_RX_LRO with tso_segsz. See vhostx_to_transmit_offload(). Returns 0 on a
/// vring that is stopped, broken or to the guest. On one that is started and disabled the guest's packets are consumed
/// and dropped, and 0 is returned. An empty pool loses nothing: what did not fit stays in the ring. After SEND_RARP one
/// packet is the library's own RARP frame, which the counters do not have.
///
/// With vhostx_port_options::zero_copy, packets of copy_below bytes and more are lent: the mbufs are attached to the
/// guest's own buffers (rte_pktmbuf_attach_extbuf), without headroom or tailroom; a packet in several pieces is a chain
/// of them. Read them, clone them, hand them to a device (buf_iova is right, or RTE_BAD_IOVA), free them on any lcore
/// and at any time; do not write into them. The guest gets a buffer back when the last mbuf of it is freed, and the
/// next burst, or vhostx_vring_poll_completions(), says so. Until then the guest may rewrite it: decide on a private
/// copy.
uint16_t vhostx_vring_dequeue_burst(vhostx_vring* vring, struct rte_mempool* pool, struct rte_mbuf** packets,
                                    uint16_t count);

/// Host to guest. Copies packets into the guest's receive buffers, in order, and returns how many of them are dealt
/// with: delivered, or dropped and counted because this guest can never take them. The rest (ring full, stopped, broken
/// or disabled) may be offered again. The mbufs stay the caller's in every case and are not changed. Offload requests
/// are taken from either form: transmit flags (RTE_MBUF_F_TX_*_CKSUM, RTE_MBUF_F_TX_TCP_SEG, RTE_MBUF_F_TX_UDP_SEG) or
/// the receive flags that a dequeue sets; what the guest did not negotiate is completed in software.
uint16_t vhostx_vring_enqueue_burst(vhostx_vring* vring, struct rte_mbuf* const* packets, uint16_t count);

/// Host to guest without a copy, for whoever fills buffers itself: a device, a crypto engine. Takes up to `count` of
/// the receive buffers that the guest has posted, as empty mbufs attached to them: write at rte_pktmbuf_mtod(), up to
/// rte_pktmbuf_tailroom() bytes, set data_len and pkt_len and, if wanted, offload flags, then
/// vhostx_vring_commit_burst(). Before the data is room for the net header and for nothing else. A buffer in several
/// pieces is a chain of mbufs without data, to be filled from the front. An mbuf that is freed instead gives its buffer
/// back untouched. Returns how many; 0 also where the next buffer cannot be lent, and on a vring that is stopped,
/// disabled, broken, from the guest, or of a port without vhostx_port_options::zero_copy.
uint16_t vhostx_vring_borrow_burst(vhostx_vring* vring, struct rte_mempool* pool, struct rte_mbuf** buffers,
                                   uint16_t count);

/// Delivers packets that lie in borrowed buffers, in order, and frees the mbufs of those that it returns the number of:
/// delivered, or dropped and counted as by vhostx_vring_enqueue_burst(). The others stay the caller's. A packet larger
/// than a buffer is a chain of borrowed mbufs, if the guest takes mergeable buffers; all but its first begin at
/// buf_addr (their data_off is to be 0). What lies otherwise, or is not borrowed at all, or wants an offload that the
/// guest does not take, is copied as by an enqueue, and its own buffers go back.
uint16_t vhostx_vring_commit_burst(vhostx_vring* vring, struct rte_mbuf** packets, uint16_t count);

/// Gives the guest the buffers whose mbufs were freed since the last burst. Bursts do the same first: this is for
/// vrings that have no traffic to wait for. Returns how many came back.
uint16_t vhostx_vring_poll_completions(vhostx_vring* vring);

/// Whether the driver shall kick when it adds buffers (VIRTIO 1.2, 2.7.10). Off is the state after start, for polling.
/// Switching on returns true when buffers are there already, which would not be kicked for: poll once more before
/// sleeping. Off, or on a vring that is not running or is broken, returns false. The choice is kept when the vring
/// restarts.
bool vhostx_vring_set_notifications(vhostx_vring* vring, bool on);

/// Who makes the calls that the guest asks for. By default bursts do, each before it returns. Held, they are counted
/// and not made: the application makes them by vhostx_vring_call_guest(), on another thread for instance, as a call is
/// a system call. The guest may sleep until then. The choice is kept when the vring restarts.
void vhostx_vring_hold_calls(vhostx_vring* vring, bool hold);
/// Calls the guest. False: the vring is not running.
bool vhostx_vring_call_guest(vhostx_vring* vring);

/// Chains that the driver has posted and no burst has taken yet, 0 to vhostx_vring_size(): packets that wait in a
/// from-guest ring, buffers that are free in a to-guest ring. 0 on a vring that is not running or is broken.
uint16_t vhostx_vring_pending(vhostx_vring* vring);
/// Why the last burst into this vring dealt with fewer packets than it was given: one of vhostx_enqueue_end. Good right
/// after such a call, and said of the first packet that it left. See there what to do with it.
int vhostx_vring_enqueue_end(vhostx_vring* vring);
/// `size`: sizeof *watch.
void vhostx_vring_get_avail_watch(vhostx_vring* vring, vhostx_avail_watch* watch, size_t size);

/// The eventfd that the driver kicks, or -1 while the ring is not started or its driver polls. The port's: valid until
/// VHOSTX_EVENT_VRING_STOPPED for this vring has been delivered, or the port is closed. The front-end holds it too and
/// can make a read of it wait: poll() it, edge-triggered if need be, and leave the counter. vhostx_waiter does both.
int vhostx_vring_kick_fd(const vhostx_vring* vring);

/// Bits of vhostx_vring_state.
unsigned vhostx_vring_get_state(const vhostx_vring* vring);

/// Entries of the ring, a power of two up to 32768, while it is ready (VHOSTX_EVENT_VRING_READY); else 0.
uint16_t vhostx_vring_size(const vhostx_vring* vring);

/// One of vhostx_counter, for those who look each burst; 0 for one that this library does not have.
uint64_t vhostx_vring_count(const vhostx_vring* vring, int counter);

/// The first `count` counters, in the order of vhostx_counter; values that this library does not have become 0. Each is
/// exact; they may be a burst apart. Returns how many were there to be written.
size_t vhostx_vring_get_stats(const vhostx_vring* vring, uint64_t* values, size_t count);

/// `size`: sizeof *loans. Takes a lock that the control thread takes too: not for the data path.
void vhostx_vring_get_loans(const vhostx_vring* vring, vhostx_loan_state* loans, size_t size);

/// The NUMA node of the guest's memory behind this vring, as last looked at; VHOSTX_NO_NODE: not known. The event
/// VHOSTX_EVENT_PLACEMENT_CHANGED says when it is another one.
int vhostx_vring_numa_node(const vhostx_vring* vring);

/// All that is known of it; the caller's, to be freed with vhostx_vring_placement_free(). Null: VHOSTX_OUT_OF_MEMORY.
/// Takes a lock that the control thread takes too: not for the data path.
vhostx_vring_placement* vhostx_vring_get_placement(const vhostx_vring* vring, vhostx_error* error);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
