// SPDX-License-Identifier: BSD-3-Clause
// Vring: one virtqueue of a Port, as the application's lcores use it.
#pragma once

#include <chrono>
#include <cstdint>

#include <vhostx/enqueue_end.hpp>
#include <vhostx/export.hpp>
#include <vhostx/packet_sizes.hpp>
#include <vhostx/placement.hpp>
#include <vhostx/vring_stats.hpp>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx {

namespace backend {
class VringCore;
}

/// State of a vring: started and enabled (vhost-user, "Ring states"), and broken, which the library adds.
struct VringState {
  bool started = false;  ///< Set when VringStarted occurs. Cleared when the ring stops; with loans out, the event
                         ///< VringStopped follows later.
  bool enabled = false;  ///< SET_VRING_ENABLE 1, or VHOST_USER_F_PROTOCOL_FEATURES was not negotiated.
  bool broken = false;   ///< A burst found that the driver broke the specification. Stays set until the ring is started
                         ///< again. A ring that is stopped because it is not in guest memory does not set it.
};

/// Loans of a vring, on a port with PortOptions::zero_copy: packets that dequeue_burst() lent and buffers that
/// borrow_burst() lent.
struct LoanState {
  std::uint32_t outstanding = 0;            ///< Loans of the running ring. Returned loans count until a burst or
                                            ///< poll_completions() has collected them.
  std::uint32_t overdue = 0;                ///< Loans of earlier runs that were still out when the ring stopped.
  std::chrono::microseconds oldest_age{0};  ///< Age of the oldest of all these loans; 0: there are none.
};

/// Address of the driver's available index, or of the flags of a packed ring's next descriptor, and its value when
/// there is no more to take: for a CPU that waits for a change of a memory line (rte_power_monitor()). There is work
/// when `*index` differs from `seen`.
struct AvailWatch {
  const volatile std::uint16_t* index = nullptr;  ///< In guest memory. Null: the ring is not running or is broken.
                                                  ///< Valid while the ring runs and the memory table does not change.
                                                  ///< The library may unmap the page before it delivers the
                                                  ///< VringStopped or MemoryChanged event.
  std::uint16_t seen = 0;                         ///< What `*index` is as long as there is none.
};

/// Owned by its Port, at the same address for the Port's whole life.
///
/// Threads: one thread at a time may call dequeue_burst, enqueue_burst, borrow_burst, commit_burst, poll_completions,
/// set_notifications, call_guest, pending, enqueue_end and avail_watch of one vring (asserted in debug builds). The
/// thread may change between calls. Different vrings are independent. Any thread may call the other functions.
///
/// Cost: no function except loans() and placement() takes a lock or allocates anything but mbufs; none but placement()
/// throws; none logs. The only system call signals an eventfd: the call eventfd, when the driver asks for it (the
/// control thread's, where calls go in-band); and once, when a vring breaks, the err eventfd and the control thread's.
/// After a signal that took more than 100 us, the next one is measured, which takes two more calls.
///
/// Bound: every call ends, whatever the ring contains.
///
///   * A call starts no further chain after it has walked 32768 descriptors or looked at 4096 pages. Only chains that
///     are not the common ones are walked descriptor by descriptor. A page larger than 32 KiB counts as its size in
///     units of 32 KiB: 64 for 2 MiB. A dropped packet counts as at least one descriptor.
///   * So one call walks at most 65536 descriptors. A piece that crosses the border of two memory regions counts as
///   two.
///   * It looks at 4096 pages and those of one more packet: at most 4096 again, or 64 of any size. A packet spread over
///     more pages is dropped (drop_too_large).
///   * A call on a disabled ring drains the whole ring.
///   * To this add the copying of `count` packets of at most 65597 bytes each.
///
/// What a call did not reach stays in the ring. A call may therefore return 0 before the ring is empty;
/// set_notifications(true) and pending() report what is left. A packet to the guest that does not fit in the whole
/// budget of a call is dropped (drop_too_large). A ring breaks (VringFaultCause::fruitless) after 16 calls that each
/// walked 32768 descriptors, 256 or more per chain on average, while no packet was moved. Longest calls on the machine
/// of the project's figures: 0.4 ms for empty descriptors, 2 ms for a ring of runts, 1 ms for 4096 pages of 4 KiB, 25
/// ms when nothing has touched those before.
class VHOSTX_EXPORT Vring {
 public:
  Vring(const Vring&) = delete;
  Vring& operator=(const Vring&) = delete;

  /// Index within the device, 0 to 2 * queue pairs - 1. Even: to the guest (its receiveq, VIRTIO 1.2, 5.1.2). Odd:
  /// from the guest (its transmitq). Any thread.
  std::uint16_t index() const noexcept;
  /// Whether the vring carries packets from the guest. Any thread.
  bool is_from_guest() const noexcept { return (index() & 1u) != 0; }

  /// Guest to host. Copies up to `count` packets that the guest transmitted into mbufs from `pool`. A packet larger
  /// than an mbuf's room becomes an mbuf chain. Returns the number of packets; the caller owns them and frees them.
  ///
  /// Offloads are in ol_flags as an ethdev driver sets them on receive: RTE_MBUF_F_RX_L4_CKSUM_NONE (the checksum is
  /// partial, the data is good) and RTE_MBUF_F_RX_LRO with tso_segsz. See to_transmit_offload().
  ///
  /// Returns 0 on a vring that is stopped, broken or to the guest. On a vring that is started and disabled it consumes
  /// and drops the guest's packets and returns 0. When the pool is empty no packet is lost: the rest stays in the ring.
  /// The same with a pool that is null, holds no mbufs, or mbufs with less than 60 bytes behind the headroom
  /// (stall_bad_pool); the log then has one line a vring that says what is wrong. After SEND_RARP one packet is the
  /// library's own RARP frame, which stats() does not count.
  ///
  /// With PortOptions::zero_copy, packets of copy_below bytes and more are lent: the mbufs are attached to the guest's
  /// own buffers (rte_pktmbuf_attach_extbuf), without headroom or tailroom. A packet in several pieces is a chain of
  /// them. You may read them, clone them, pass them to a device (buf_iova is right, or RTE_BAD_IOVA) and free them on
  /// any lcore at any time. Do not write into them. The guest gets a buffer back after the last mbuf of it was freed,
  /// with the next burst or poll_completions(). Until then the guest may rewrite it: base decisions on a private copy.
  ///
  /// A packet is copied and counted by cause when half of the ring (or PortOptions::loans_max) is out, when its pieces
  /// are too small or too many, or when a checksum must be written into it. Packets are also copied, not counted by
  /// cause, while mbufs hold several older memory tables. So a guest never stalls because mbufs are never freed.
  std::uint16_t dequeue_burst(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept;

  /// Host to guest. Copies packets into the guest's receive buffers, in order. Returns the number of packets that were
  /// handled: delivered, or dropped and counted because this guest can never take them. The rest may be offered again;
  /// enqueue_end() reports why they were left (ring full, stopped, broken or disabled). The caller keeps all mbufs;
  /// they are not changed.
  ///
  /// Offload requests may be transmit flags (RTE_MBUF_F_TX_*_CKSUM, RTE_MBUF_F_TX_TCP_SEG, RTE_MBUF_F_TX_UDP_SEG) or
  /// the receive flags that dequeue_burst sets. What the guest did not negotiate is completed in software (checksum,
  /// segmentation).
  std::uint16_t enqueue_burst(rte_mbuf* const* packets, std::uint16_t count) noexcept;

  /// Host to guest without a copy, for applications that fill the guest's buffers themselves, by a device or a crypto
  /// engine. Takes up to `count` of the receive buffers that the guest has posted and returns them as empty mbufs of
  /// `pool` that are attached to them. Write at rte_pktmbuf_mtod(), at most rte_pktmbuf_tailroom() bytes, set data_len
  /// and pkt_len and, if needed, offload flags; then call commit_burst(). The space before the data is for the net
  /// header only. A buffer in several pieces is a chain of mbufs without data: fill it from the front.
  ///
  /// To return a buffer unused, free its mbuf. The buffer is lent again first, or goes back to the guest, empty, when
  /// the guest has no others posted.
  ///
  /// Returns the number of mbufs. Returns 0 also when the next buffer cannot be lent (its net header is cut, or it has
  /// too many pieces), when PortOptions::loans_max entries are out, when the pool is empty, null, not of mbufs, or of
  /// mbufs that cannot be attached (the last three: stall_bad_pool), and on a vring that is stopped, disabled, broken,
  /// from the guest, or of a port without PortOptions::zero_copy.
  std::uint16_t borrow_burst(rte_mempool* pool, rte_mbuf** buffers, std::uint16_t count) noexcept;

  /// Delivers packets that were written into borrowed buffers, in order. Frees the first N mbufs (or chains), where N
  /// is the return value: those packets were delivered, or dropped and counted as by enqueue_burst. The caller keeps
  /// the rest. Returns 0 on the vrings on which borrow_burst() does.
  ///
  /// A packet larger than a buffer is a chain of borrowed mbufs, if the guest negotiated mergeable buffers. All buffers
  /// but the last are full, and in all but the first the data starts at buf_addr: set data_off to 0. A packet that is
  /// laid out differently, is not in borrowed buffers, or needs an offload that the guest did not negotiate is copied
  /// as by enqueue_burst; buffers that it borrowed count as returned unused.
  std::uint16_t commit_burst(rte_mbuf** packets, std::uint16_t count) noexcept;

  /// Collects the buffers whose mbufs were freed since the last burst. From the guest: returns them to the guest. To
  /// the guest: keeps them for the next borrow_burst(), or returns them to the guest, empty, when it has no others
  /// posted. dequeue_burst, borrow_burst and Transfer::begin do the same first; call this on a vring that carries no
  /// traffic. Returns the number of buffers collected.
  std::uint16_t poll_completions() noexcept;

  /// Asks the driver to kick when it adds buffers, or not to (VIRTIO 1.2, 2.7.10). Off by default, for polling. Returns
  /// true if buffers are waiting already when kicks are switched on: the driver does not kick for those, so poll once
  /// more before you sleep. Returns false when switched off, and on a vring that is not running or is broken. The vring
  /// keeps the choice over a restart.
  bool set_notifications(bool on) noexcept;

  /// Chooses who signals the guest when it asks for it. By default each burst does, before it returns. With `hold`
  /// bursts only count these calls (VringCounter::calls), and the application makes them by call_guest(), for example
  /// on another thread, because each takes a system call. The guest may sleep until then. The vring keeps the choice
  /// over a restart. Any thread.
  void hold_calls(bool hold) noexcept;
  /// Signals the guest now, whether it has asked for it or not. Returns false if the vring is not running.
  bool call_guest() noexcept;

  /// Chains that the driver has posted and no burst has taken, 0 to size(): packets that wait in a from-guest ring,
  /// free buffers in a to-guest ring. Of a packed ring the descriptors of these chains: at least as many. 0 on a vring
  /// that is not running or is broken.
  std::uint16_t pending() noexcept;
  /// Why the last enqueue_burst, commit_burst or Transfer::move into this vring handled fewer packets than it was
  /// given. Valid right after such a call; the reason is that of the first packet left. Packets that this guest can
  /// never take are not left: they were dropped. If you keep packets for later, limit how long:
  ///   * no_buffers: offer them again; when too many wait, drop the newest.
  ///   * few_buffers: offer the first one again for a while (vhostx-switch: 100 ms and 16 tries), then drop it.
  ///     Otherwise one packet holds back all others for this guest.
  ///   * budget: offer them again.
  ///   * not_running: drop them all.
  /// A program that drops what is left after each burst does not need this.
  EnqueueEnd enqueue_end() noexcept;
  /// Where to watch for more chains without a call.
  AvailWatch avail_watch() noexcept;

  /// The eventfd that the driver kicks; -1 while the ring is not started or its driver polls. The Port owns it. It is
  /// valid until VringStopped for this vring was delivered, or the Port was destroyed. The front-end holds the same
  /// eventfd and can make a read of it block. So poll() it, edge-triggered if you need that, and do not read the
  /// counter. Waiter does both. Any thread.
  int kick_fd() const noexcept;

  /// State of the vring. Any thread.
  VringState state() const noexcept;
  /// Entries of the ring, a power of two up to 32768, while it is ready (VringReady); else 0. Any thread.
  std::uint16_t size() const noexcept;
  /// All counters. Any thread.
  VringStats stats() const noexcept;
  /// One counter of stats(), cheap enough to read after each burst. Any thread.
  std::uint64_t count(VringCounter id) const noexcept;
  /// Packets by size and destination, with PortOptions::count_sizes; else all are 0. To the guest they include packets
  /// that a burst handled by dropping them. Any thread.
  PacketSizes packet_sizes() const noexcept;
  /// Sets all counters to 0, for all that read them: stats(), count(), packet_sizes(), telemetry, Port::stats(). It may
  /// be called while bursts run, and costs them nothing. Any thread.
  void reset_stats() noexcept;
  /// Loans that are out. Takes a lock that the control thread takes too: not for the data path. Any thread.
  LoanState loans() const noexcept;
  /// NUMA node of the guest's memory behind this vring, at the last look; no_node: not known. The event
  /// PlacementChanged reports a change. Any thread.
  int numa_node() const noexcept;
  /// Placement of the vring at the last look. Allocates (may throw std::bad_alloc), and takes a lock that the control
  /// thread takes too: not for the data path. Any thread.
  VringPlacement placement() const;

 private:
  friend class backend::VringCore;
  explicit Vring(backend::VringCore& core) noexcept : core_(core) {}
  ~Vring() = default;

  backend::VringCore& core_;
};

}  // namespace vhostx
