// SPDX-License-Identifier: BSD-3-Clause
// TxQueue: the way to one to-guest vring (or to the TAP): lock, backlog, drops.
#pragma once

#include <cstdint>

#include <vhostx/transfer.hpp>
#include <vhostx/vring.hpp>

#include "tools/switch/backlog.hpp"
#include "tools/switch/backlog_owner.hpp"
#include "tools/switch/counter.hpp"
#include "tools/switch/frame_device.hpp"
#include "tools/switch/mbuf_release.hpp"
#include "tools/switch/spinlock.hpp"

namespace vhostx::tools {

/// Where packets go: exactly one of the two is set.
struct Sink {
  Vring* vring = nullptr;
  FrameDevice* device = nullptr;

  std::uint16_t offer(rte_mbuf* const* packets, std::uint16_t count) noexcept {
    return vring != nullptr ? vring->enqueue_burst(packets, count) : device->send(packets, count);
  }
  bool ready() const noexcept;
  /// Of a guest that has not taken a packet: whether it has posted buffers, only fewer than the packet needs.
  bool has_few_buffers() const noexcept { return vring != nullptr && vring->enqueue_end() == EnqueueEnd::few_buffers; }
};

/// How long the oldest packet of a backlog may wait for a guest that has posted buffers, but too few for it. A guest
/// that runs posts more within a millisecond or two; one that never will must not lose the packets behind. Time alone
/// is not enough: a worker that got no CPU has not tried.
struct Patience {
  std::uint64_t milliseconds = 100;
  std::uint32_t tries = 16;
  /// After a packet was given up the next ones are given up at the second try for so long, so that a sender of nothing
  /// else stops its neighbour for a tenth of the time at most.
  std::uint64_t none_after_ms = 1000;
};

struct TxQueueOptions {
  Sink sink;
  SegmentBudget* budget = nullptr;  ///< The port's; outlives the queue.
  BacklogOwner* owner = nullptr;    ///< At first: of the worker that calls flush(); outlives the queue.
  std::uint32_t backlog_max = 0;    ///< Packets.
  std::uint32_t index = 0;          ///< Among all queues of the switch.
  bool shared = false;              ///< More than one worker sends here.
  bool transfers = false;           ///< move() may be called: the sink is a guest's.
  Patience patience;
  std::uint64_t (*milliseconds)() noexcept = nullptr;  ///< The time; null: the TSC's.
};

class alignas(64) TxQueue {
 public:
  explicit TxQueue(const TxQueueOptions& options);
  ~TxQueue();
  TxQueue(const TxQueue&) = delete;
  TxQueue& operator=(const TxQueue&) = delete;

  std::uint32_t index() const noexcept { return options_.index; }

  /// Takes the packets over, at most burst_max: to the guest, into the backlog, or dropped and counted.
  void send(rte_mbuf** packets, std::uint16_t count) noexcept;
  bool takes_transfers() const noexcept { return options_.transfers; }
  /// The same for packets of a burst that `transfer` has begun, at most burst_max: straight to the guest; copies of
  /// what it does not take go into the backlog.
  void move(Transfer& transfer, const std::uint8_t* which, std::uint16_t count, rte_mempool* pool) noexcept;
  /// Leaves the packets the caller's. Returns how many the guest took; nothing is kept back.
  std::uint16_t offer(rte_mbuf* const* packets, std::uint16_t count) noexcept;
  /// Owner only: brings the backlog on. Returns how many packets left it.
  std::uint32_t flush() noexcept;
  bool has_backlog() const noexcept { return has_backlog_.load(std::memory_order_relaxed); }

  /// Owner only: another worker calls flush() from now on. It is woken if there is a backlog for it; `owner` outlives
  /// the queue.
  void set_owner(BacklogOwner& owner) noexcept;

  /// Owner only: whether the guest shall kick when it posts receive buffers. True: there are some already.
  bool set_notifications(bool on) noexcept;
  Vring* vring() const noexcept { return options_.sink.vring; }

  std::uint64_t dropped_ring_full() const noexcept { return ring_full_.value(); }
  /// Packets that needed more buffers than the guest had posted for as long as Patience says.
  std::uint64_t dropped_few_buffers() const noexcept { return few_buffers_.value(); }
  std::uint64_t dropped_not_ready() const noexcept { return not_ready_.value(); }

 private:
  std::uint32_t drain() noexcept;
  std::uint32_t discard() noexcept;
  bool gave_up_first() noexcept;
  void pop(std::uint16_t count) noexcept;
  void keep(rte_mbuf** packets, std::uint16_t count) noexcept;
  void keep_copies(Transfer& transfer, const std::uint8_t* which, std::uint16_t count, rte_mempool* pool) noexcept;
  bool push(rte_mbuf* packet) noexcept;
  void note_backlog(bool begins) noexcept;

  TxQueueOptions options_;
  Spinlock lock_;
  std::atomic<bool> has_backlog_{false};
  Backlog backlog_;
  Counter ring_full_;
  Counter not_ready_;
  Counter few_buffers_;
  std::uint64_t blocked_since_ = 0;  // when the oldest packet was first found too large for what is posted
  std::uint64_t patient_from_ = 0;   // before that time such a packet is given up at the second try
  std::uint32_t blocked_tries_ = 0;  // how often it was; 0: not yet
};

}  // namespace vhostx::tools
