// SPDX-License-Identifier: BSD-3-Clause
// MbufBurst and TransferBurst: one received burst as a forwarder handles it, by packet numbers, however its packets go.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <vhostx/transfer.hpp>

#include "tools/switch/fabric.hpp"
#include "tools/switch/flow_hash.hpp"
#include "tools/switch/out_batches.hpp"

namespace vhostx::tools {

inline constexpr std::uint16_t ethernet_header_length = 14;

/// Packets in mbufs: of a device, or of a guest that is copied from. Each packet is added to a queue, shared among
/// several, or dropped.
class MbufBurst {
 public:
  /// `pool`: the worker's.
  MbufBurst(const Fabric& fabric, rte_mempool* pool) : pool_(pool), out_(fabric.tx_queues) {}

  void make_room(std::size_t queues) { out_.make_room(queues); }
  std::uint16_t receive(RxLane& lane) noexcept { return lane.receive(pool_, packets_.data()); }

  bool has_header(std::uint16_t i) const noexcept { return packets_[i]->data_len >= ethernet_header_length; }
  std::byte* frame(std::uint16_t i) const noexcept { return rte_pktmbuf_mtod(packets_[i], std::byte*); }
  std::uint32_t hash(std::uint16_t i) const noexcept { return flow_hash(packets_[i]); }
  void prefetch(std::uint16_t i) const noexcept { rte_prefetch0(frame(i)); }

  /// `count` packets from number `i` on. Returns how many; the others are to come again, and so is all behind them.
  std::uint16_t add(TxQueue& queue, std::uint16_t i, std::uint16_t count) noexcept {
    out_.add(queue, packets_.data() + i, count);
    return count;
  }
  bool begin_sharing(std::uint16_t) noexcept { return true; }
  void share(TxQueue& queue, std::uint16_t i) noexcept {
    rte_pktmbuf_refcnt_update(packets_[i], 1);
    out_.add(queue, packets_[i]);
  }
  void end_sharing(std::uint16_t i) noexcept { rte_pktmbuf_free(packets_[i]); }
  void drop(std::uint16_t i) noexcept { rte_pktmbuf_free(packets_[i]); }
  void drop_all(std::uint16_t count) noexcept { release_burst(packets_.data(), count); }
  /// All that was received, to one queue: instead of add(). Returns as it does.
  std::uint16_t send(TxQueue& queue, std::uint16_t count) noexcept {
    queue.send(packets_.data(), count);
    return count;
  }
  /// The end of the burst, of whose packets the first `done` were handled.
  void finish(std::uint16_t) noexcept {
    out_.send_all([](TxQueue& queue, rte_mbuf** packets, std::uint16_t count) { queue.send(packets, count); });
  }

 private:
  rte_mempool* const pool_;
  std::array<rte_mbuf*, burst_max> packets_;
  OutBatches<rte_mbuf*> out_;
};

/// Packets that stay in their guest's memory until they are in another's. Mbufs are made for those alone that go to
/// several ports, or to one that takes nothing else.
class TransferBurst {
 public:
  TransferBurst(const Fabric& fabric, rte_mempool* pool, Transfer& transfer)
      : pool_(pool), transfer_(transfer), out_(fabric.tx_queues) {
    std::iota(numbers_.begin(), numbers_.end(), std::uint8_t{0});
  }

  void make_room(std::size_t queues) { out_.make_room(queues); }
  std::uint16_t receive(RxLane& lane) noexcept { return transfer_.begin(*lane.vring, burst_max); }

  static bool has_header(std::uint16_t) noexcept { return true; }
  std::byte* frame(std::uint16_t i) const noexcept { return reinterpret_cast<std::byte*>(transfer_.packet(i).head); }
  std::uint32_t hash(std::uint16_t i) const noexcept {
    return flow_hash(transfer_.packet(i).head, transfer_.packet(i).head_length);
  }
  static void prefetch(std::uint16_t) noexcept {}

  std::uint16_t add(TxQueue& queue, std::uint16_t i, std::uint16_t count) noexcept;
  bool begin_sharing(std::uint16_t i) noexcept { return copy(i); }
  void share(TxQueue& queue, std::uint16_t i) noexcept {
    rte_pktmbuf_refcnt_update(copies_[i], 1);
    out_.add(queue, numbers_[i]);
  }
  void end_sharing(std::uint16_t i) noexcept;
  void drop(std::uint16_t) noexcept {}
  void drop_all(std::uint16_t) noexcept {}
  std::uint16_t send(TxQueue& queue, std::uint16_t count) noexcept {
    if (!queue.takes_transfers()) return add(queue, 0, count);
    queue.move(transfer_, numbers_.data(), count, pool_);
    return count;
  }
  void finish(std::uint16_t done) noexcept;

 private:
  bool copy(std::uint16_t i) noexcept;
  void send_mixed(TxQueue& queue, const std::uint8_t* numbers, std::uint16_t count) noexcept;

  rte_mempool* const pool_;
  Transfer& transfer_;
  std::array<std::uint8_t, burst_max> numbers_;  // 0, 1, 2, ...
  std::array<rte_mbuf*, burst_max> copies_{};    // null: the packet is moved
  std::uint32_t copied_ = 0;                     // how many are not null
  OutBatches<std::uint8_t> out_;
};
static_assert(burst_max == Transfer::burst_max);

}  // namespace vhostx::tools
