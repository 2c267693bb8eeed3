// SPDX-License-Identifier: BSD-3-Clause
// Forwarders: what a worker does with one burst of one lane, a class for each mode. Each call returns how many packets
// it moved. A Burst is MbufBurst or TransferBurst; its mbufs come from the worker's pool. make_room() is for between
// two bursts, when there are more transmit queues; it may throw std::bad_alloc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tools/switch/bursts.hpp"
#include "tools/switch/fabric.hpp"

namespace vhostx::tools {

/// --mode switch: learns where stations are and sends each frame there, or everywhere else.
template <typename Burst>
class LearningForwarder {
 public:
  template <typename... More>
  LearningForwarder(Fabric& fabric, std::vector<WorkerDrops>& drops, rte_mempool* pool, More&... more)
      : fabric_(fabric), drops_(drops), burst_(fabric, pool, more...) {}

  std::uint32_t operator()(RxLane& lane) noexcept;
  void make_room(std::size_t queues) { burst_.make_room(queues); }

 private:
  /// The last addresses of a burst and what is known of them: most bursts have one flow. Forgotten with the burst.
  struct Recent {
    std::uint64_t source =
        ~std::uint64_t{0};  ///< At first no address: the first packet's is looked at, whatever it is.
    std::uint64_t destination = 0;
    std::uint16_t port = MacTable::no_port;  ///< Of the destination.
    TxQueue* queue = nullptr;                ///< Of the destination, where all of its flows take the same.
  };

  bool is_of(const Recent& recent, std::uint16_t i) const noexcept;
  // Whether the packet was handled: if not, it comes again, and so does all behind it.
  bool forward(const RxLane& lane, std::uint16_t i, Recent& recent) noexcept;
  bool unicast(const RxLane& lane, std::uint16_t i, Recent& recent) noexcept;
  bool flood(const RxLane& lane, std::uint16_t i) noexcept;

  Fabric& fabric_;
  std::vector<WorkerDrops>& drops_;  // one a port
  Burst burst_;
};

/// --mode io and mac: everything to the port beside, queue pair for queue pair.
template <bool SwapAddresses, typename Burst>
class PairForwarder {
 public:
  template <typename... More>
  PairForwarder(Fabric& fabric, std::vector<WorkerDrops>& drops, rte_mempool* pool, More&... more)
      : fabric_(fabric), drops_(drops), burst_(fabric, pool, more...) {}

  std::uint32_t operator()(RxLane& lane) noexcept;
  void make_room(std::size_t queues) { burst_.make_room(queues); }

 private:
  Fabric& fabric_;
  std::vector<WorkerDrops>& drops_;
  Burst burst_;
};

/// --mode rxonly: counts and frees.
template <typename Burst>
class DiscardForwarder {
 public:
  template <typename... More>
  DiscardForwarder(Fabric& fabric, std::vector<WorkerDrops>&, rte_mempool* pool, More&... more)
      : burst_(fabric, pool, more...) {}

  std::uint32_t operator()(RxLane& lane) noexcept;
  void make_room(std::size_t queues) { burst_.make_room(queues); }

 private:
  Burst burst_;
};

/// --mode txonly: the same packets again and again to each lane's guest; what comes in is not looked at.
class GeneratingForwarder {
 public:
  /// `packets`: made once, kept by the caller, not changed by sending.
  GeneratingForwarder(const std::array<rte_mbuf*, burst_max>& packets) : packets_(packets) {}
  std::uint32_t operator()(RxLane& lane) noexcept { return lane.tx->offer(packets_.data(), burst_max); }
  static void make_room(std::size_t) noexcept {}

 private:
  const std::array<rte_mbuf*, burst_max>& packets_;
};

/// A forwarder for the lanes that are looked at in place, and one for all others.
template <typename Moving, typename Copying>
class EitherForwarder {
 public:
  EitherForwarder(Fabric& fabric, std::vector<WorkerDrops>& drops, rte_mempool* pool, Transfer& transfer)
      : moving_(fabric, drops, pool, transfer), copying_(fabric, drops, pool) {}

  std::uint32_t operator()(RxLane& lane) noexcept { return lane.transfers ? moving_(lane) : copying_(lane); }
  void make_room(std::size_t queues) {
    moving_.make_room(queues);
    copying_.make_room(queues);
  }

 private:
  Moving moving_;
  Copying copying_;
};

extern template class LearningForwarder<MbufBurst>;
extern template class LearningForwarder<TransferBurst>;
extern template class PairForwarder<false, MbufBurst>;
extern template class PairForwarder<false, TransferBurst>;
extern template class PairForwarder<true, MbufBurst>;
extern template class PairForwarder<true, TransferBurst>;
extern template class DiscardForwarder<MbufBurst>;
extern template class DiscardForwarder<TransferBurst>;

}  // namespace vhostx::tools
