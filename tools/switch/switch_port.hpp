// SPDX-License-Identifier: BSD-3-Clause
// SwitchPort and RxLane: a port as the workers see it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tools/switch/tx_queue.hpp"

namespace vhostx::tools {

inline constexpr std::uint16_t pairs_max = 128;

/// Which queue pairs take packets at the moment. The control thread writes, workers read; a reader that sees half of a
/// change picks a queue that is just starting or stopping, which TxQueue can take.
class ReadyPairs {
 public:
  void publish(const std::vector<std::uint8_t>& pairs) noexcept {
    for (std::size_t i = 0; i < pairs.size(); ++i) pairs_[i].store(pairs[i], std::memory_order_relaxed);
    count_.store(static_cast<std::uint32_t>(pairs.size()), std::memory_order_release);
  }
  std::uint32_t count() const noexcept { return count_.load(std::memory_order_acquire); }
  std::uint8_t pair(std::uint32_t position) const noexcept { return pairs_[position].load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> count_{0};
  std::array<std::atomic<std::uint8_t>, pairs_max> pairs_{};
};

struct SwitchPort {
  std::uint16_t id = 0;
  SegmentBudget budget;
  ReadyPairs ready;
  std::vector<std::unique_ptr<TxQueue>> tx;  ///< One a queue pair; gone before the budget.

  /// The transmit queue that `selector` (a flow's hash, a queue pair's number) falls on; null: no guest takes packets.
  TxQueue* pick(std::uint32_t selector) const noexcept {
    const auto count = ready.count();
    if (count == 0) return nullptr;
    return tx[ready.pair(count == 1 ? 0 : selector % count)].get();
  }
};

/// The receive side of one queue pair of one port. Polled by one worker at a time: `worker`, which alone may name
/// another one there. It does so between two rounds when `wanted` is another one; so there is one all the time, and two
/// never.
struct alignas(64) RxLane {
  std::uint16_t port = 0;
  std::uint16_t pair = 0;
  Vring* vring = nullptr;  ///< Or `device`.
  FrameDevice* device = nullptr;
  bool transfers = false;  ///< Packets are looked at where they lie (`vring` only).
  TxQueue* tx = nullptr;   ///< The same queue pair's other direction; this lane's worker brings its backlog on.
  std::atomic<std::uint16_t> worker{0};   ///< Who serves it, a position in Fabric::workers.
  std::atomic<std::uint16_t> wanted{0};   ///< Who is to serve it. The control thread's, and see Worker::hand_over().
  std::atomic<bool> receives{false};      ///< The from-guest ring is started.
  std::atomic<bool> sends{false};         ///< The to-guest ring is started, enabled and not broken.
  std::optional<std::uint16_t> reported;  ///< The worker that LanePlacement::take_moves() saw last; its own.

  std::uint16_t receive(rte_mempool* pool, rte_mbuf** packets) noexcept {
    return vring != nullptr ? vring->dequeue_burst(pool, packets, burst_max)
                            : device->receive(pool, packets, burst_max);
  }
};

/// Packets that a worker gave up before they reached a TxQueue, by the port concerned. Written by that worker alone.
struct alignas(64) WorkerDrops {
  Counter not_ready;        ///< The destination has no guest that takes packets.
  Counter flood_not_ready;  ///< The same, where the packet went to all ports.
  Counter same_port;        ///< The destination is behind the port that the packet came from.
  Counter malformed;        ///< Shorter than an Ethernet header.
  Counter foreign_source;   ///< The source address is not one that the port may use.

  void reset() noexcept {
    for (auto* counter : {&not_ready, &flood_not_ready, &same_port, &malformed, &foreign_source}) counter->reset();
  }
};

}  // namespace vhostx::tools
