// SPDX-License-Identifier: BSD-3-Clause
// Vring: one virtqueue of a Port, as the application's lcores use it.
#pragma once

#include <chrono>
#include <cstdint>

#include <vhostx/enqueue_end.hpp>
#include <vhostx/export.hpp>
#include <vhostx/placement.hpp>
#include <vhostx/vring_stats.hpp>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx {

namespace backend {
class VringCore;
}

/// A vring's two axes (vhost-user, "Ring states"), and the third that a lying driver adds.
struct VringState {
  bool started = false;  ///< From VringStarted until the ring stops; VringStopped may wait for loans then.
  bool enabled = false;  ///< SET_VRING_ENABLE 1, or VHOST_USER_F_PROTOCOL_FEATURES was not negotiated.
  bool broken = false;   ///< The driver lied; sticky until the ring is started again.
};

/// What is out of a port with PortOptions::zero_copy: packets that dequeue_burst lent, buffers that borrow_burst handed
/// out.
struct LoanState {
  std::uint32_t outstanding = 0;            ///< Of the ring as it runs, as far as its data thread has looked.
  std::uint32_t overdue = 0;                ///< Of rings that have stopped without them.
  std::chrono::microseconds oldest_age{0};  ///< Since the oldest of all of them was lent; 0: none is out.
};

/// Where the driver says that it has posted buffers, and what it had said when a burst last looked: for a processor
/// that waits until a line of memory changes (rte_power_monitor()). Once they differ there is something to take.
struct AvailWatch {
  const volatile std::uint16_t* index = nullptr;  ///< In guest memory: good until VringStopped or MemoryChanged is
                                                  ///< delivered. Null: the ring is not running, or is broken.
  std::uint16_t seen = 0;                         ///< What it had said.
};

/// Owned by its Port, at the same address for the Port's whole life.
///
/// Threads: dequeue_burst, enqueue_burst, borrow_burst, commit_burst, poll_completions, set_notifications, call_guest,
/// pending, enqueue_end and avail_watch of one vring are called by one thread at a time (asserted in debug builds);
/// which thread may change between calls. Different vrings are independent. The other functions may be called from any
/// thread. None but loans() and placement() allocates (but mbufs), locks, throws or logs; the only system call is the
/// one that signals an eventfd: the call, when the driver asks for it (the control thread's, where calls go in-band);
/// the err eventfd and the control thread's, once, when a vring breaks. (After a signal that took over 100 us the next
/// one is measured, by two calls more.)
///
/// A call ends, whatever the ring says. Chains that are not the common ones are walked descriptor by descriptor, and a
/// call begins no further one when it has walked 32768 descriptors, or looked at 4096 pages (a page of more than 32 KiB
/// counts as its size in units of 32 KiB: 64 for 2 MiB). So one call walks at most 65536 descriptors (pieces cut by a
/// border of regions count as one each), and it looks at 4096 pages and those of one packet: at most 4096 again, or
/// 64 of any size; a packet that is spread wider is dropped (drop_too_large). A drop counts 1 at least, and a disabled
/// ring is drained in one call. Add to that the copying of `count` packets of at most 65597 bytes. What a call did not
/// reach stays in the ring: it may return 0 before the ring is empty, and set_notifications(true) and pending() say so.
/// A packet for the guest that a whole budget is too small for is dropped (drop_too_large). A ring whose calls walk
/// 32768 descriptors without a packet 16 times in a row, 256 or more a chain, is broken (VringFaultCause::fruitless).
/// On the machine of docs/figures.md: 0.4 ms for empty descriptors, 2 ms for a ring of runts; 1 ms for 4096 pages of 4
/// KiB, 25 ms when nobody has touched them.
class VHOSTX_EXPORT Vring {
 public:
  Vring(const Vring&) = delete;
  Vring& operator=(const Vring&) = delete;

  /// Index within the device, 0 to 2 * queue pairs - 1. Even: to the guest (its receiveq, VIRTIO 1.2, 5.1.2). Odd:
  /// from the guest (its transmitq).
  std::uint16_t index() const noexcept;
  /// Whether it carries packets from the guest.
  bool is_from_guest() const noexcept { return (index() & 1u) != 0; }

  /// Guest to host. Takes up to `count` packets that the guest transmitted and copies them into mbufs from `pool`;
  /// packets larger than an mbuf's room become mbuf chains. Returns how many, all of them the caller's to free.
  /// Offloads stand in ol_flags as an ethdev driver would set them on receive: RTE_MBUF_F_RX_L4_CKSUM_NONE (the
  /// checksum is partial, the data is good) and RTE_MBUF_F_RX_LRO with tso_segsz. See to_transmit_offload().
  /// Returns 0 on a vring that is stopped, broken or to the guest. On one that is started and disabled the guest's
  /// packets are consumed and dropped, and 0 is returned. An empty pool loses nothing: what did not fit stays in the
  /// ring. After SEND_RARP one packet is the library's own RARP frame, which stats() does not count.
  ///
  /// With PortOptions::zero_copy, packets of copy_below bytes and more are lent: the mbufs are attached to the guest's
  /// own buffers (rte_pktmbuf_attach_extbuf), without headroom or tailroom; a packet in several pieces is a chain of
  /// them. Read them, clone them, hand them to a device (buf_iova is right, or RTE_BAD_IOVA), free them on any lcore
  /// and at any time; do not write into them. The guest gets a buffer back when the last mbuf of it is freed, and the
  /// next burst, or poll_completions(), says so. Until then the guest may rewrite it: decide on a private copy. Packets
  /// are copied, and counted by cause, when half of the ring is out, when their pieces are too small or too many, or
  /// when a checksum must be written into them. Mbufs that are held for ever therefore never stop a guest.
  std::uint16_t dequeue_burst(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept;

  /// Host to guest. Copies packets into the guest's receive buffers, in order, and returns how many of them are dealt
  /// with: delivered, or dropped and counted because this guest can never take them. The rest (ring full, stopped,
  /// broken or disabled: enqueue_end() says which) may be offered again. The mbufs stay the caller's in every case and
  /// are not changed. Offload requests are taken from either form: transmit flags (RTE_MBUF_F_TX_*_CKSUM,
  /// RTE_MBUF_F_TX_TCP_SEG, RTE_MBUF_F_TX_UDP_SEG) or the receive flags that dequeue_burst sets; what the guest did not
  /// negotiate is completed in software (checksum, segmentation).
  std::uint16_t enqueue_burst(rte_mbuf* const* packets, std::uint16_t count) noexcept;

  /// Host to guest without a copy, for whoever fills buffers itself: a device, a crypto engine. Takes up to `count` of
  /// the receive buffers that the guest has posted, as empty mbufs attached to them: write at rte_pktmbuf_mtod(), up to
  /// rte_pktmbuf_tailroom() bytes, set data_len and pkt_len and, if wanted, offload flags, then commit_burst(). Before
  /// the data is room for the net header and for nothing else. A buffer in several pieces is a chain of mbufs without
  /// data, to be filled from the front. An mbuf that is freed instead gives its buffer back untouched: it is
  /// lent next, or goes back to the guest, empty, when that has no others posted. Returns how many; 0 also where the
  /// next buffer cannot be lent (its net header is cut, or it is in too many pieces), and on a vring that is stopped,
  /// disabled, broken, from the guest, or of a port without PortOptions::zero_copy.
  std::uint16_t borrow_burst(rte_mempool* pool, rte_mbuf** buffers, std::uint16_t count) noexcept;

  /// Delivers packets that lie in borrowed buffers, in order, and frees the mbufs of those that it returns the number
  /// of: delivered, or dropped and counted as by enqueue_burst. The others stay the caller's. A packet larger than a
  /// buffer is a chain of borrowed mbufs, if the guest takes mergeable buffers; all but its first begin at buf_addr
  /// (their data_off is to be 0). What lies otherwise, or is not borrowed at all, or wants an
  /// offload that the guest does not take, is copied as by enqueue_burst, and its own buffers go back.
  std::uint16_t commit_burst(rte_mbuf** packets, std::uint16_t count) noexcept;

  /// Gives the guest the buffers whose mbufs were freed since the last burst. Bursts do the same first: this is for
  /// vrings that have no traffic to wait for. Returns how many came back.
  std::uint16_t poll_completions() noexcept;

  /// Whether the driver shall kick when it adds buffers (VIRTIO 1.2, 2.7.10). Off is the state after start, for
  /// polling. Switching on returns true when buffers are there already, which would not be kicked for: poll once more
  /// before sleeping. Off, or on a vring that is not running or is broken, returns false. The choice is kept when the
  /// vring restarts.
  bool set_notifications(bool on) noexcept;

  /// Who makes the calls that the guest asks for. By default bursts do, each before it returns. Held, they are counted
  /// (VringCounter::calls) and not made: the application makes them by call_guest(), on another thread for instance,
  /// as a call is a system call. The guest may sleep until then. The choice is kept when the vring restarts.
  void hold_calls(bool hold) noexcept;
  /// Calls the guest. False: the vring is not running.
  bool call_guest() noexcept;

  /// Chains that the driver has posted and no burst has taken yet, 0 to size(): packets that wait in a from-guest ring,
  /// buffers that are free in a to-guest ring. 0 on a vring that is not running or is broken.
  std::uint16_t pending() noexcept;
  /// Why the last enqueue_burst, commit_burst or Transfer::move into this vring dealt with fewer packets than it was
  /// given; good right after such a call, and said of the first packet that it left. Packets that this guest can never
  /// take are not among those: they were dropped. Who keeps packets for later must not keep one for ever:
  ///   * no_buffers: offer them again; when too many wait, drop the newest.
  ///   * few_buffers: offer the first one again for a while (vhostx-switch: 100 ms and 16 tries), then drop it: else
  ///     one packet holds back all others for this guest.
  ///   * budget: offer them again. not_running: drop them all.
  /// A program that drops what is left after each burst need not ask.
  EnqueueEnd enqueue_end() noexcept;
  /// Where to look for more of them without a call.
  AvailWatch avail_watch() noexcept;

  /// The eventfd that the driver kicks, or -1 while the ring is not started or its driver polls. Owned by the Port:
  /// valid until VringStopped for this vring has been delivered, or the Port is destroyed. The front-end holds it too
  /// and can make a read of it wait: poll() it, edge-triggered if need be, and leave the counter. Waiter does both.
  int kick_fd() const noexcept;

  /// Where it stands; any thread.
  VringState state() const noexcept;
  /// Entries of the ring, a power of two up to 32768, while it is ready (VringReady); else 0. Any thread.
  std::uint16_t size() const noexcept;
  /// What it counted; any thread.
  VringStats stats() const noexcept;
  /// One counter of stats(), for those who look each burst. Any thread.
  std::uint64_t count(VringCounter id) const noexcept;
  /// What is out. Takes a lock that the control thread takes too: not for the data path.
  LoanState loans() const noexcept;
  /// The NUMA node of the guest's memory behind this vring, as last looked at; no_node: not known. The event
  /// PlacementChanged says when it is another one.
  int numa_node() const noexcept;
  /// All that is known of it. Allocates, and takes a lock that the control thread takes too: not for the data path.
  VringPlacement placement() const;

 private:
  friend class backend::VringCore;
  explicit Vring(backend::VringCore& core) noexcept : core_(core) {}
  ~Vring() = default;

  backend::VringCore& core_;
};

}  // namespace vhostx
