// SPDX-License-Identifier: BSD-3-Clause
// OutBatches: what one received burst becomes, gathered by destination, so that each destination costs one call.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "tools/switch/tx_queue.hpp"

namespace vhostx::tools {

/// One per worker. Empty between bursts; no destination gets more than burst_max packets out of one burst.
class OutBatches {
 public:
  explicit OutBatches(std::size_t queues) : batches_(queues) { touched_.reserve(queues); }

  void add(TxQueue& queue, rte_mbuf* packet) noexcept {
    Batch& batch = batches_[queue.index()];
    if (batch.count == 0) touched_.push_back(&queue);  // within what the constructor reserved
    batch.packets[batch.count++] = packet;
  }

  void add(TxQueue& queue, rte_mbuf* const* packets, std::uint16_t count) noexcept {
    if (count == 0) return;
    Batch& batch = batches_[queue.index()];
    if (batch.count == 0) touched_.push_back(&queue);
    std::copy_n(packets, count, batch.packets.begin() + batch.count);
    batch.count = static_cast<std::uint16_t>(batch.count + count);
  }

  void send_all() noexcept {
    for (auto* queue : touched_) {
      Batch& batch = batches_[queue->index()];
      queue->send(batch.packets.data(), batch.count);
      batch.count = 0;
    }
    touched_.clear();
  }

 private:
  struct alignas(64) Batch {
    std::uint16_t count = 0;
    std::array<rte_mbuf*, burst_max> packets;
  };
  std::vector<Batch> batches_;
  std::vector<TxQueue*> touched_;
};

}  // namespace vhostx::tools
