// SPDX-License-Identifier: BSD-3-Clause
// OutBatches: what one received burst becomes, gathered by destination, so that each destination costs one call.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "tools/switch/tx_queue.hpp"

namespace vhostx::tools {

/// One per worker and kind of packet: an mbuf, or a packet's number in a transfer. Empty between bursts; no destination
/// gets more than burst_max packets out of one burst.
template <typename Packet>
class OutBatches {
 public:
  explicit OutBatches(std::size_t queues) : batches_(queues) { touched_.reserve(queues); }

  /// Between two bursts: for queues whose index is below `queues`. May throw std::bad_alloc, and changes nothing then.
  void make_room(std::size_t queues) {
    if (queues <= batches_.size()) return;
    std::vector<Batch> more(queues);
    touched_.reserve(queues);
    batches_.swap(more);
  }

  void add(TxQueue& queue, Packet packet) noexcept {
    Batch& batch = touch(queue);
    batch.packets[batch.count++] = packet;
  }

  void add(TxQueue& queue, const Packet* packets, std::uint16_t count) noexcept {
    if (count == 0) return;
    Batch& batch = touch(queue);
    std::copy_n(packets, count, batch.packets.begin() + batch.count);
    batch.count = static_cast<std::uint16_t>(batch.count + count);
  }

  /// Calls `send(queue, packets, count)` for each destination.
  template <typename Send>
  void send_all(Send send) noexcept {
    for (auto* queue : touched_) {
      Batch& batch = batches_[queue->index()];
      send(*queue, batch.packets.data(), batch.count);
      batch.count = 0;
    }
    touched_.clear();
  }

 private:
  struct alignas(64) Batch {
    std::uint16_t count = 0;
    std::array<Packet, burst_max> packets;
  };

  Batch& touch(TxQueue& queue) noexcept {
    Batch& batch = batches_[queue.index()];
    if (batch.count == 0) touched_.push_back(&queue);  // within what the constructor reserved
    return batch;
  }

  std::vector<Batch> batches_;
  std::vector<TxQueue*> touched_;
};

}  // namespace vhostx::tools
