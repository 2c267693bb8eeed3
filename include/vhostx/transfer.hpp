// SPDX-License-Identifier: BSD-3-Clause
// Transfer: moves packets from one guest to another with one copy.
#pragma once

#include <cstdint>
#include <memory>

#include <vhostx/export.hpp>
#include <vhostx/peeked_packet.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring.hpp>

struct rte_mbuf;
struct rte_mempool;

namespace vhostx {

/// Moves packets from a from-guest vring into to-guest vrings of any ports, descriptor to descriptor, without mbufs.
/// The application looks at private copies of the packets' first bytes. The CPU copies the rest once, from one guest's
/// memory to the other's.
///
///     std::uint16_t count = transfer.begin(from, 32);
///     if (count == 0) return;
///     ... look at transfer.packet(i).head, i < count; sort packet numbers by destination ...
///     std::uint16_t moved = transfer.move(numbers, how_many, to);   // for each destination
///     rte_mbuf* packet = transfer.copy(i, pool);                    // if an mbuf is needed: floods, backlogs
///     transfer.end(count);
///
/// Between begin() and end() the source vring is in use, as during a burst: its control thread waits for end() before
/// it answers GET_VRING_BASE, changes the memory table or closes the port. In between, call nothing that waits for a
/// control thread (opening or closing a port, Port::look_at_placement()), and take no longer than a burst takes.
///
/// Threads: one thread at a time uses a Transfer, and each vring while it is in use (see Vring). After create() no
/// function takes a lock, throws, logs, or allocates anything but mbufs (in copy()). The only system calls are those of
/// Vring.
class VHOSTX_EXPORT Transfer {
 public:
  /// Most packets of one burst.
  static constexpr std::uint16_t burst_max = 32;

  /// Creates a Transfer. Allocates about 160 KiB, and nothing later. On a machine with several NUMA nodes call it on
  /// the thread that will use it: a page is allocated on the node of the CPU that first writes it. Error: system (no
  /// memory). Any thread.
  static Result<std::unique_ptr<Transfer>> create() noexcept;
  /// No burst may be between begin() and end() (asserted). Any thread.
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Looks at the next packets of a from-guest vring, at most `count` and burst_max, and leaves them in the ring.
  /// Returns how many there are. With 0 no burst has begun: do not call end(). Returns 0 on a vring that is stopped,
  /// broken or to the guest. On a vring that is started and disabled it consumes and drops the packets and returns 0.
  ///
  /// A chain that is no packet, or whose net header contradicts it, is counted as in Vring::dequeue_burst and returned
  /// to the guest with the packets before it. A driver that breaks the specification breaks the vring once the packets
  /// before the fault are taken. After SEND_RARP one burst is only the library's own RARP frame, which stats() does not
  /// count.
  std::uint16_t begin(Vring& from, std::uint16_t count) noexcept;

  /// Packet `i`, which must be below the return value of begin(). Valid until end(). move() and copy() handle the
  /// packet's offload requests.
  PeekedPacket& packet(std::uint16_t i) noexcept { return packets_[i]; }

  /// Copies the packets with the `count` numbers at `which`, in this order, into the receive buffers of `to`. Returns
  /// the number of packets that were handled, as Vring::enqueue_burst does: delivered, or dropped and counted because
  /// this guest can never take them. The rest may be offered again (see Vring::enqueue_end). What the receiver did not
  /// negotiate is completed in software. If a checksum must be computed for it, the packet is copied twice, so that
  /// guest memory is read only once. A packet may go to several vrings.
  std::uint16_t move(const std::uint8_t* which, std::uint16_t count, Vring& to) noexcept;

  /// Copies packet `i` into an mbuf, or a chain of them, with the receive flags that dequeue_burst sets. The caller
  /// owns it and frees it. Null when the pool is empty (counted on the source vring, stall_no_mbuf), or
  /// when dequeue_burst could not use it (stall_bad_pool).
  rte_mbuf* copy(std::uint16_t i, rte_mempool* pool) noexcept;

  /// Ends the burst. Returns the buffers of the first `taken` packets to their guest and counts them as taken. The next
  /// begin() finds the others again. `taken` is at most the return value of begin() (asserted).
  void end(std::uint16_t taken) noexcept;

 private:
  struct VHOSTX_HIDDEN State;
  VHOSTX_HIDDEN explicit Transfer(State* state) noexcept;

  State* const state_;
  PeekedPacket* const packets_;
};

}  // namespace vhostx
