// SPDX-License-Identifier: BSD-3-Clause
// Vring: one virtqueue of a Port, as the application's lcores use it.
#pragma once

#include <cstdint>

#include <vhostx/export.hpp>
#include <vhostx/vring_stats.hpp>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx {

namespace backend {
class VringCore;
}

/// A vring's two axes (vhost-user, "Ring states"), and the third that a lying driver adds.
struct VringState {
  bool started = false;  ///< From VringStarted to VringStopped.
  bool enabled = false;  ///< SET_VRING_ENABLE 1, or VHOST_USER_F_PROTOCOL_FEATURES was not negotiated.
  bool broken = false;   ///< The driver lied; sticky until the ring is started again.
};

/// Owned by its Port, at the same address for the Port's whole life.
///
/// Threads: dequeue_burst, enqueue_burst and set_notifications of one vring are called by one thread at a time
/// (asserted in debug builds); which thread may change between calls. Different vrings are independent. The other
/// functions may be called from any thread. None of them allocates (but mbufs), locks, throws or logs; the only system
/// call is the write to an eventfd: the call, when the driver asks for it (the control thread's, where calls go
/// in-band); the err eventfd and the control thread's, once, when a vring breaks.
class VHOSTX_EXPORT Vring {
 public:
  Vring(const Vring&) = delete;
  Vring& operator=(const Vring&) = delete;

  /// Index within the device, 0 to 2 * queue pairs - 1. Even: to the guest (its receiveq, VIRTIO 1.2, 5.1.2). Odd:
  /// from the guest (its transmitq).
  std::uint16_t index() const noexcept;
  bool is_from_guest() const noexcept { return (index() & 1u) != 0; }

  /// Guest to host. Takes up to `count` packets that the guest transmitted and copies them into mbufs from `pool`;
  /// packets larger than an mbuf's room become mbuf chains. Returns how many, all of them the caller's to free.
  /// Offloads stand in ol_flags as an ethdev driver would set them on receive: RTE_MBUF_F_RX_L4_CKSUM_NONE (the
  /// checksum is partial, the data is good) and RTE_MBUF_F_RX_LRO with tso_segsz. See to_transmit_offload().
  /// Returns 0 on a vring that is stopped, broken or to the guest. On one that is started and disabled the guest's
  /// packets are consumed and dropped, and 0 is returned. An empty pool loses nothing: what did not fit stays in the
  /// ring. After SEND_RARP one packet is the library's own RARP frame, which stats() does not count.
  std::uint16_t dequeue_burst(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept;

  /// Host to guest. Copies packets into the guest's receive buffers, in order, and returns how many of them are dealt
  /// with: delivered, or dropped and counted because this guest can never take them. The rest (ring full, stopped,
  /// broken or disabled) may be offered again. The mbufs stay the caller's in every case and are not changed.
  /// Offload requests are taken from either form: transmit flags (RTE_MBUF_F_TX_*_CKSUM, RTE_MBUF_F_TX_TCP_SEG,
  /// RTE_MBUF_F_TX_UDP_SEG) or the receive flags that dequeue_burst sets; what the guest did not negotiate is completed
  /// in software (checksum, segmentation).
  std::uint16_t enqueue_burst(rte_mbuf* const* packets, std::uint16_t count) noexcept;

  /// Whether the driver shall kick when it adds buffers (VIRTIO 1.2, 2.7.10). Off is the state after start, for
  /// polling. Switching on returns true when buffers are there already, which would not be kicked for: poll once more
  /// before sleeping. Off, or on a vring that is not running or is broken, returns false. The choice is kept when the
  /// vring restarts.
  bool set_notifications(bool on) noexcept;

  /// The eventfd that the driver kicks, or -1 while the ring is not started or its driver polls. Owned by the Port:
  /// valid until VringStopped for this vring has been delivered, or the Port is destroyed. Waiter watches it for those
  /// who do not want to follow that.
  int kick_fd() const noexcept;

  VringState state() const noexcept;
  VringStats stats() const noexcept;

 private:
  friend class backend::VringCore;
  explicit Vring(backend::VringCore& core) noexcept : core_(core) {}
  ~Vring() = default;

  backend::VringCore& core_;
};

}  // namespace vhostx
