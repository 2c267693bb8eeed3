// SPDX-License-Identifier: BSD-3-Clause
// Transfer: packets from one guest straight into another, copied once.
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

/// Moves packets from a from-guest vring into to-guest vrings of any ports, descriptor to descriptor, without mbufs
/// between. The switch looks at private copies of the packets' first bytes; the rest is copied once, by the processor,
/// from the one guest's pages into the other's.
///
///     std::uint16_t count = transfer.begin(from, 32);
///     if (count == 0) return;
///     ... look at transfer.packet(i).head, i < count; sort packet numbers by destination ...
///     std::uint16_t moved = transfer.move(numbers, how_many, to);   // again for each destination
///     rte_mbuf* packet = transfer.copy(i, pool);                    // where an mbuf is wanted: floods, backlogs
///     transfer.end(count);
///
/// Between begin() and end() the source vring is in use, as in a burst: its control thread waits for end() before it
/// answers GET_VRING_BASE, changes the memory table or closes the port. So call nothing there that waits for a control
/// thread (opening and closing ports, Port::info()), and take no longer than a burst takes.
///
/// Threads: one Transfer belongs to one thread at a time, and so does each vring while it is used (see Vring). Neither
/// locks nor allocates (but mbufs, in copy()) after create(), throws or logs; the only system calls are Vring's.
class VHOSTX_EXPORT Transfer {
 public:
  /// Packets of one burst.
  static constexpr std::uint16_t burst_max = 32;

  /// About 160 KiB, allocated here and never again. On a machine with several NUMA nodes call it on the thread that
  /// will use it: a page lies on the node of the CPU that first writes it. Error: system (no memory).
  static Result<std::unique_ptr<Transfer>> create() noexcept;
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Looks at the next packets of a from-guest vring, at most `count` and burst_max, and leaves them where they are.
  /// Returns how many. 0: nothing was begun, and end() is not called; so it is on a vring that is stopped, broken or
  /// to the guest. On one that is started and disabled packets are consumed and dropped. What cannot be a packet, and
  /// what its net header contradicts, is counted as in Vring::dequeue_burst and given back with the packets before it.
  /// A driver that lies breaks the vring when the packets before the lie are gone. After SEND_RARP one burst is the
  /// library's own RARP frame alone, which stats() does not count.
  std::uint16_t begin(Vring& from, std::uint16_t count) noexcept;

  /// Packet `i` below what begin() returned; good until end(). Packets that ask for offloads carry their requests
  /// along.
  PeekedPacket& packet(std::uint16_t i) noexcept { return packets_[i]; }

  /// Copies packets, by number and in this order, into the receive buffers of `to`. Returns how many are dealt with, as
  /// Vring::enqueue_burst does: delivered, or dropped and counted because this guest can never take them; the rest may
  /// be offered again. What the receiver did not negotiate is completed in software; a checksum that has to be summed
  /// costs such a packet a second copy, so that nobody's memory is read twice. A packet may go to several vrings.
  std::uint16_t move(const std::uint8_t* which, std::uint16_t count, Vring& to) noexcept;

  /// Packet `i` as dequeue_burst would have given it: a private mbuf, or a chain of them, with receive flags; the
  /// caller's to free. Null when the pool is empty (counted, stall_no_mbuf).
  rte_mbuf* copy(std::uint16_t i, rte_mempool* pool) noexcept;

  /// Gives the first `done` packets' buffers back to the guest that sent them; the others come again with the next
  /// begin(). Counts the packets as taken.
  void end(std::uint16_t done) noexcept;

 private:
  struct VHOSTX_HIDDEN State;
  VHOSTX_HIDDEN explicit Transfer(State* state) noexcept;

  State* const state_;
  PeekedPacket* const packets_;
};

}  // namespace vhostx
