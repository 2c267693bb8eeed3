// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_vring: one virtqueue of a port, as the application's lcores use it.
///
/// Threads: one thread at a time may call the dequeue, enqueue, borrow and commit bursts,
/// vhostx_vring_poll_completions(), vhostx_vring_set_notifications(), vhostx_vring_call_guest(),
/// vhostx_vring_pending(), vhostx_vring_enqueue_end() and vhostx_vring_get_avail_watch() of one vring. The thread may
/// change between calls. Different vrings are independent. Any thread may call the other functions.
///
/// Cost: no function except vhostx_vring_get_loans() and vhostx_vring_get_placement() takes a lock or allocates
/// anything but mbufs; none logs. The only system call signals an eventfd.
///
/// Bound: every call ends, whatever the ring contains. It starts no further chain after it has walked 32768 descriptors
/// or looked at 4096 pages (a page larger than 32 KiB counts as its size in units of 32 KiB), so one call walks at most
/// 65536 descriptors. A call may therefore return 0 before the ring is empty; vhostx_vring_set_notifications() and
/// vhostx_vring_pending() report what is left. A ring breaks (VHOSTX_FAULT_FRUITLESS) after 16 calls that each walked
/// 32768 descriptors, 256 or more per chain on average, while no packet was moved. The C++ header vring.hpp has the
/// details.
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

/// One virtqueue. Owned by its port, at the same address for the port's whole life. Null, which vhostx_port_vring()
/// returns for an index that there is not, is allowed in all calls, and is a vring that never starts: bursts return 0.
typedef struct vhostx_vring vhostx_vring;

/// State of a vring, as bits: started and enabled (vhost-user, "Ring states"), and broken, which the library adds.
enum vhostx_vring_state {
  VHOSTX_VRING_STARTED = 1,  ///< Set when VHOSTX_EVENT_VRING_STARTED occurs. Cleared when the ring stops; with loans
                             ///< out, VHOSTX_EVENT_VRING_STOPPED follows later.
  VHOSTX_VRING_ENABLED = 2,  ///< SET_VRING_ENABLE 1, or VHOST_USER_F_PROTOCOL_FEATURES was not negotiated.
  VHOSTX_VRING_BROKEN = 4    ///< A burst found that the driver broke the specification. Stays set until the ring is
                             ///< started again. A ring that is stopped because it is not in guest memory does not set
                             ///< it.
};

/// Why a burst to a guest left packets, and what to do with them. Packets that the guest can never take are not left:
/// they were dropped.
enum vhostx_enqueue_end {
  VHOSTX_ENQUEUE_NOT_RUNNING = 0,  ///< The vring is stopped, disabled or broken: drop all that wait.
  VHOSTX_ENQUEUE_NO_BUFFERS = 1,   ///< The driver has no buffers posted: offer them again; when too many wait, drop the
                                   ///< newest.
  VHOSTX_ENQUEUE_FEW_BUFFERS = 2,  ///< The driver has buffers posted, but the next packet needs more than all of them.
                                   ///< Offer it again for a while (vhostx-switch: 100 ms and 16 tries), then drop it.
                                   ///< Otherwise one packet holds back all others for this guest.
  VHOSTX_ENQUEUE_BUDGET = 3        ///< The call has looked at as much of the ring as one call may: offer them again.
};

/// Loans of a vring, on a port with zero copy: packets that a dequeue lent and buffers that a borrow lent.
typedef struct vhostx_loan_state {
  uint32_t outstanding;    ///< Loans of the running ring. Returned loans count until a burst or
                           ///< vhostx_vring_poll_completions() has collected them.
  uint32_t overdue;        ///< Loans of earlier runs that were still out when the ring stopped.
  uint64_t oldest_age_us;  ///< Age of the oldest of all these loans, in microseconds; 0: there are none.
} vhostx_loan_state;

/// Address of the driver's available index, or of the flags of a packed ring's next descriptor, and its value when
/// there is no more to take: for a CPU that waits for a change of a memory line (rte_power_monitor()). There is work
/// when `*index` differs from `seen`.
typedef struct vhostx_avail_watch {
  const volatile uint16_t* index;  ///< In guest memory. Null: the ring is not running or is broken. Valid while the
                                   ///< ring runs and the memory table does not change. The library may unmap the page
                                   ///< before it delivers VHOSTX_EVENT_VRING_STOPPED or VHOSTX_EVENT_MEMORY_CHANGED.
  uint16_t seen;                   ///< What `*index` is as long as there is none.
} vhostx_avail_watch;

/// Index within the device, 0 to 2 * queue pairs - 1. Even: to the guest (its receiveq, VIRTIO 1.2, 5.1.2). Odd: from
/// the guest (its transmitq). Any thread.
uint16_t vhostx_vring_index(const vhostx_vring* vring);
/// Whether the vring carries packets from the guest. Any thread.
bool vhostx_vring_is_from_guest(const vhostx_vring* vring);

/// Guest to host. Copies up to `count` packets that the guest transmitted into mbufs from `pool`. A packet larger than
/// an mbuf's room becomes an mbuf chain. Returns the number of packets; the caller owns them and frees them.
///
/// Offloads are in ol_flags as an ethdev driver sets them on receive: RTE_MBUF_F_RX_L4_CKSUM_NONE (the checksum is
/// partial, the data is good) and RTE_MBUF_F_RX_LRO with tso_segsz. See vhostx_to_transmit_offload().
///
/// Returns 0 on a vring that is stopped, broken or to the guest. On a vring that is started and disabled it consumes
/// and drops the guest's packets and returns 0. When the pool is empty no packet is lost: the rest stays in the ring.
/// The same with a pool that is null, holds no mbufs, or mbufs with less than 60 bytes behind the headroom
/// (VHOSTX_COUNTER_STALL_BAD_POOL); the log then has one line a vring that says what is wrong. After SEND_RARP one
/// packet is the library's own RARP frame, which the counters do not include.
///
/// With vhostx_port_options::zero_copy, packets of copy_below bytes and more are lent: the mbufs are attached to the
/// guest's own buffers (rte_pktmbuf_attach_extbuf), without headroom or tailroom. A packet in several pieces is a chain
/// of them. You may read them, clone them, pass them to a device (buf_iova is right, or RTE_BAD_IOVA) and free them on
/// any lcore at any time. Do not write into them. The guest gets a buffer back after the last mbuf of it was freed,
/// with the next burst or vhostx_vring_poll_completions(). Until then the guest may rewrite it: base decisions on a
/// private copy.
///
/// A packet is copied and counted by cause when half of the ring (or vhostx_port_options::loans_max) is out, when its
/// pieces are too small or too many, or when a checksum must be written into it. Packets are also copied, not counted
/// by cause, while mbufs hold several older memory tables. So a guest never stalls because mbufs are never freed.
uint16_t vhostx_vring_dequeue_burst(vhostx_vring* vring, struct rte_mempool* pool, struct rte_mbuf** packets,
                                    uint16_t count);

/// Host to guest. Copies packets into the guest's receive buffers, in order. Returns the number of packets that were
/// handled: delivered, or dropped and counted because this guest can never take them. The rest may be offered again;
/// vhostx_vring_enqueue_end() reports why they were left (ring full, stopped, broken or disabled). The caller keeps all
/// mbufs; they are not changed.
///
/// Offload requests may be transmit flags (RTE_MBUF_F_TX_*_CKSUM, RTE_MBUF_F_TX_TCP_SEG, RTE_MBUF_F_TX_UDP_SEG) or the
/// receive flags that a dequeue sets. What the guest did not negotiate is completed in software (checksum,
/// segmentation).
uint16_t vhostx_vring_enqueue_burst(vhostx_vring* vring, struct rte_mbuf* const* packets, uint16_t count);

/// Host to guest without a copy, for applications that fill the guest's buffers themselves, by a device or a crypto
/// engine. Takes up to `count` of the receive buffers that the guest has posted and returns them as empty mbufs of
/// `pool` that are attached to them. Write at rte_pktmbuf_mtod(), at most rte_pktmbuf_tailroom() bytes, set data_len
/// and pkt_len and, if needed, offload flags; then call vhostx_vring_commit_burst(). The space before the data is for
/// the net header only. A buffer in several pieces is a chain of mbufs without data: fill it from the front.
///
/// To return a buffer unused, free its mbuf. The buffer is lent again first, or goes back to the guest, empty, when the
/// guest has no others posted.
///
/// Returns the number of mbufs. Returns 0 also when the next buffer cannot be lent (its net header is cut, or it has
/// too many pieces), when vhostx_port_options::loans_max entries are out, when the pool is empty, null, not of mbufs,
/// or of mbufs that cannot be attached (the last three: VHOSTX_COUNTER_STALL_BAD_POOL), and on a vring that is stopped,
/// disabled, broken, from the guest, or of a port without vhostx_port_options::zero_copy.
uint16_t vhostx_vring_borrow_burst(vhostx_vring* vring, struct rte_mempool* pool, struct rte_mbuf** buffers,
                                   uint16_t count);

/// Delivers packets that were written into borrowed buffers, in order. Frees the first N mbufs (or chains), where N is
/// the return value: those packets were delivered, or dropped and counted as by vhostx_vring_enqueue_burst(). The
/// caller keeps the rest. Returns 0 on the vrings on which vhostx_vring_borrow_burst() does.
///
/// A packet larger than a buffer is a chain of borrowed mbufs, if the guest negotiated mergeable buffers. All buffers
/// but the last are full, and in all but the first the data starts at buf_addr: set data_off to 0. A packet that is
/// laid out differently, is not in borrowed buffers, or needs an offload that the guest did not negotiate is copied as
/// by vhostx_vring_enqueue_burst(); buffers that it borrowed count as returned unused.
uint16_t vhostx_vring_commit_burst(vhostx_vring* vring, struct rte_mbuf** packets, uint16_t count);

/// Collects the buffers whose mbufs were freed since the last burst. From the guest: returns them to the guest. To the
/// guest: keeps them for the next borrow, or returns them to the guest, empty, when it has no others posted. The
/// dequeue and borrow bursts and vhostx_transfer_begin() do the same first; call this on a vring that carries no
/// traffic. Returns the number of buffers collected.
uint16_t vhostx_vring_poll_completions(vhostx_vring* vring);

/// Asks the driver to kick when it adds buffers, or not to (VIRTIO 1.2, 2.7.10). Off by default, for polling. Returns
/// true if buffers are waiting already when kicks are switched on: the driver does not kick for those, so poll once
/// more before you sleep. Returns false when switched off, and on a vring that is not running or is broken. The vring
/// keeps the choice over a restart.
bool vhostx_vring_set_notifications(vhostx_vring* vring, bool on);

/// Chooses who signals the guest when it asks for it. By default each burst does, before it returns. With `hold` bursts
/// only count these calls (VHOSTX_COUNTER_CALLS), and the application makes them by vhostx_vring_call_guest(), for
/// example on another thread, because each takes a system call. The guest may sleep until then. The vring keeps the
/// choice over a restart. Any thread.
void vhostx_vring_hold_calls(vhostx_vring* vring, bool hold);
/// Signals the guest now, whether it has asked for it or not. Returns false if the vring is not running.
bool vhostx_vring_call_guest(vhostx_vring* vring);

/// Chains that the driver has posted and no burst has taken, 0 to vhostx_vring_size(): packets that wait in a
/// from-guest ring, free buffers in a to-guest ring. Of a packed ring the descriptors of these chains: at least as
/// many. 0 on a vring that is not running or is broken.
uint16_t vhostx_vring_pending(vhostx_vring* vring);
/// Why the last burst or transfer into this vring handled fewer packets than it was given: one of vhostx_enqueue_end,
/// which says what to do. Valid right after such a call; the reason is that of the first packet left. A program that
/// drops what is left after each burst does not need this.
int vhostx_vring_enqueue_end(vhostx_vring* vring);
/// Where to watch for more chains without a call. `size`: sizeof *watch.
void vhostx_vring_get_avail_watch(vhostx_vring* vring, vhostx_avail_watch* watch, size_t size);

/// The eventfd that the driver kicks; -1 while the ring is not started or its driver polls. The port owns it. It is
/// valid until VHOSTX_EVENT_VRING_STOPPED for this vring was delivered, or the port was closed. The front-end holds the
/// same eventfd and can make a read of it block. So poll() it, edge-triggered if you need that, and do not read the
/// counter. vhostx_waiter does both. Any thread.
int vhostx_vring_kick_fd(const vhostx_vring* vring);

/// State of the vring: bits of vhostx_vring_state. Any thread.
unsigned vhostx_vring_get_state(const vhostx_vring* vring);

/// Entries of the ring, a power of two up to 32768, while it is ready (VHOSTX_EVENT_VRING_READY); else 0. Any thread.
uint16_t vhostx_vring_size(const vhostx_vring* vring);

/// Value of one vhostx_counter, cheap enough to read after each burst; 0 for a counter that this library does not have.
/// Any thread.
uint64_t vhostx_vring_count(const vhostx_vring* vring, int counter);
/// Packets by size and destination, with vhostx_port_options::count_sizes; else all are 0. Writes the first `count`
/// values, in the order of vhostx_size_counter; those that this library does not have become 0. To the guest they
/// include packets that a burst handled by dropping them. Returns how many of them the library has. Any thread.
size_t vhostx_vring_get_packet_sizes(const vhostx_vring* vring, uint64_t* values, size_t count);
/// Sets all counters to 0, for all that read them. It may be called while bursts run, and costs them nothing. Any
/// thread.
void vhostx_vring_reset_stats(vhostx_vring* vring);

/// Writes the first `count` counters to `values`, in the order of vhostx_counter; those that this library does not have
/// become 0. Each value is exact, but they may be a burst apart. Returns how many of them the library has. Any thread.
size_t vhostx_vring_get_stats(const vhostx_vring* vring, uint64_t* values, size_t count);

/// Loans that are out. `size`: sizeof *loans. Takes a lock that the control thread takes too: not for the data path.
/// Any thread.
void vhostx_vring_get_loans(const vhostx_vring* vring, vhostx_loan_state* loans, size_t size);

/// NUMA node of the guest's memory behind this vring, at the last look; VHOSTX_NO_NODE: not known. The event
/// VHOSTX_EVENT_PLACEMENT_CHANGED reports a change. Any thread.
int vhostx_vring_numa_node(const vhostx_vring* vring);

/// Placement of the vring at the last look. The caller owns the result: release it with vhostx_vring_placement_free().
/// Null on error: VHOSTX_OUT_OF_MEMORY, VHOSTX_INVALID_ARGUMENT (the vring is null). Allocates, and takes a lock that
/// the control thread takes too: not for the data path. Any thread.
vhostx_vring_placement* vhostx_vring_get_placement(const vhostx_vring* vring, vhostx_error* error);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
