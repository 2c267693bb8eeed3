// SPDX-License-Identifier: BSD-3-Clause
// Forwarders: what a worker does with one burst of one lane, a class for each mode. Each call returns how many packets
// it moved.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tools/switch/fabric.hpp"
#include "tools/switch/out_batches.hpp"

namespace vhostx::tools {

/// --mode switch: learns where stations are and sends each frame there, or everywhere else.
class LearningForwarder {
 public:
  LearningForwarder(Fabric& fabric, std::vector<WorkerDrops>& drops)
      : fabric_(fabric), drops_(drops), out_(fabric.tx_queues) {}

  std::uint32_t operator()(RxLane& lane) noexcept;

 private:
  /// The last addresses of a burst and what is known of them: most bursts have one flow. Forgotten with the burst.
  struct Recent {
    std::uint64_t source = 0;
    std::uint64_t destination = 0;
    std::uint16_t port = MacTable::no_port;  ///< Of the destination.
    TxQueue* queue = nullptr;                ///< Of the destination, where all of its flows take the same.

    bool is_of(const rte_mbuf* packet) const noexcept;
  };

  void forward(const RxLane& lane, rte_mbuf* packet, Recent& recent) noexcept;
  void unicast(const RxLane& lane, rte_mbuf* packet, Recent& recent) noexcept;
  void flood(const RxLane& lane, rte_mbuf* packet) noexcept;

  Fabric& fabric_;
  std::vector<WorkerDrops>& drops_;  // one a port
  OutBatches out_;
};

/// --mode io and mac: everything to the port beside, queue pair for queue pair.
template <bool SwapAddresses>
class PairForwarder {
 public:
  PairForwarder(Fabric& fabric, std::vector<WorkerDrops>& drops) : fabric_(fabric), drops_(drops) {}

  std::uint32_t operator()(RxLane& lane) noexcept;

 private:
  Fabric& fabric_;
  std::vector<WorkerDrops>& drops_;
};

/// --mode rxonly: counts and frees.
class DiscardForwarder {
 public:
  DiscardForwarder(Fabric& fabric, std::vector<WorkerDrops>&) : fabric_(fabric) {}
  std::uint32_t operator()(RxLane& lane) noexcept;

 private:
  Fabric& fabric_;
};

/// --mode txonly: the same packets again and again to each lane's guest; what comes in is not looked at.
class GeneratingForwarder {
 public:
  /// `packets`: made once, kept by the caller, not changed by sending.
  GeneratingForwarder(const std::array<rte_mbuf*, burst_max>& packets) : packets_(packets) {}
  std::uint32_t operator()(RxLane& lane) noexcept { return lane.tx->offer(packets_.data(), burst_max); }

 private:
  const std::array<rte_mbuf*, burst_max>& packets_;
};

extern template class PairForwarder<false>;
extern template class PairForwarder<true>;

}  // namespace vhostx::tools
