// SPDX-License-Identifier: BSD-3-Clause
// Forwarders: the inner loops.
#include "tools/switch/forwarders.hpp"

#include <cstddef>
#include <cstring>

namespace vhostx::tools {
namespace {

constexpr std::uint16_t prefetch_ahead = 4;

template <typename Burst>
void prefetch_first(const Burst& burst, std::uint16_t count) noexcept {
  for (std::uint16_t i = 0; i < count && i < prefetch_ahead; ++i) burst.prefetch(i);
}
template <typename Burst>
void prefetch_next(const Burst& burst, std::uint16_t i, std::uint16_t count) noexcept {
  if (i + prefetch_ahead < count) burst.prefetch(static_cast<std::uint16_t>(i + prefetch_ahead));
}

void swap_addresses(std::byte* frame) noexcept {
  const std::uint64_t destination = destination_of(frame);
  const std::uint64_t source = source_of(frame);
  const std::uint64_t first = source | destination << 48;
  const auto last = static_cast<std::uint32_t>(destination >> 16);
  std::memcpy(frame, &first, sizeof first);
  std::memcpy(frame + sizeof first, &last, sizeof last);
}

/// The queue of `port` for a packet: flows are spread when the guest uses several.
template <typename Burst>
TxQueue* queue_for(const SwitchPort& port, const Burst& burst, std::uint16_t i) noexcept {
  return port.pick(port.ready.count() > 1 ? burst.hash(i) : 0);
}

}  // namespace

template <typename Burst>
std::uint32_t LearningForwarder<Burst>::operator()(RxLane& lane) noexcept {
  const auto count = burst_.receive(lane);
  if (count == 0) return 0;
  Recent recent;
  prefetch_first(burst_, count);
  std::uint16_t i = 0;
  while (i < count) {
    prefetch_next(burst_, i, count);
    if (!forward(lane, i, recent)) break;
    ++i;
    if (recent.queue == nullptr) continue;
    // What follows with the same addresses goes the same way.
    const std::uint16_t first = i;
    for (; i < count && is_of(recent, i); ++i) prefetch_next(burst_, i, count);
    const auto run = static_cast<std::uint16_t>(i - first);
    const std::uint16_t added = burst_.add(*recent.queue, first, run);
    if (added == run) continue;
    i = static_cast<std::uint16_t>(first + added);
    break;
  }
  burst_.finish(i);
  return i;
}

template <typename Burst>
bool LearningForwarder<Burst>::is_of(const Recent& recent, std::uint16_t i) const noexcept {
  if (!burst_.has_header(i)) return false;
  const void* const frame = burst_.frame(i);
  return source_of(frame) == recent.source && destination_of(frame) == recent.destination;
}

template <typename Burst>
bool LearningForwarder<Burst>::forward(const RxLane& lane, std::uint16_t i, Recent& recent) noexcept {
  if (!burst_.has_header(i)) [[unlikely]] {
    drops_[lane.port].malformed.add(1);
    burst_.drop(i);
    return true;
  }
  const void* const frame = burst_.frame(i);
  const auto source = source_of(frame);
  const auto destination = destination_of(frame);
  if (source != recent.source) {
    if (!fabric_.rules.allows(source, lane.port)) [[unlikely]] {
      drops_[lane.port].foreign_source.add(1);
      burst_.drop(i);
      return true;
    }
    fabric_.macs->learn(source, lane.port);
  }
  recent.source = source;
  if (is_group(destination)) return flood(lane, i);
  recent.port = fabric_.macs->lookup(destination);
  recent.destination = destination;
  recent.queue = nullptr;
  if (recent.port == MacTable::no_port) return flood(lane, i);
  return unicast(lane, i, recent);
}

template <typename Burst>
bool LearningForwarder<Burst>::unicast(const RxLane& lane, std::uint16_t i, Recent& recent) noexcept {
  if (recent.port == lane.port) [[unlikely]] {
    drops_[recent.port].same_port.add(1);
    burst_.drop(i);
    return true;
  }
  const SwitchPort& port = *fabric_.ports[recent.port];
  TxQueue* const queue = queue_for(port, burst_, i);
  if (queue == nullptr) [[unlikely]] {
    drops_[recent.port].not_ready.add(1);
    burst_.drop(i);
    return true;
  }
  if (port.tx.size() == 1) recent.queue = queue;
  return burst_.add(*queue, i, 1) == 1;
}

/// One more reference for each port that takes packets; for the others it is counted.
template <typename Burst>
bool LearningForwarder<Burst>::flood(const RxLane& lane, std::uint16_t i) noexcept {
  if (!burst_.begin_sharing(i)) return false;
  for (const auto& port : fabric_.ports) {
    if (port->id == lane.port) continue;
    if (TxQueue* const queue = queue_for(*port, burst_, i))
      burst_.share(*queue, i);
    else
      drops_[port->id].flood_not_ready.add(1);
  }
  burst_.end_sharing(i);
  return true;
}

template <bool SwapAddresses, typename Burst>
std::uint32_t PairForwarder<SwapAddresses, Burst>::operator()(RxLane& lane) noexcept {
  const auto count = burst_.receive(lane);
  if (count == 0) return 0;
  if constexpr (SwapAddresses) {
    prefetch_first(burst_, count);
    for (std::uint16_t i = 0; i < count; ++i) {
      prefetch_next(burst_, i, count);
      if (burst_.has_header(i)) swap_addresses(burst_.frame(i));
    }
  }
  const auto peer = fabric_.peer_of(lane.port);
  auto done = count;
  if (TxQueue* const queue = fabric_.ports[peer]->pick(lane.pair)) [[likely]] {
    done = burst_.send(*queue, count);
  } else {
    drops_[peer].not_ready.add(count);
    burst_.drop_all(count);
  }
  burst_.finish(done);
  return done;
}

template <typename Burst>
std::uint32_t DiscardForwarder<Burst>::operator()(RxLane& lane) noexcept {
  const auto count = burst_.receive(lane);
  if (count == 0) return 0;
  burst_.drop_all(count);
  burst_.finish(count);
  return count;
}

template class LearningForwarder<MbufBurst>;
template class LearningForwarder<TransferBurst>;
template class PairForwarder<false, MbufBurst>;
template class PairForwarder<false, TransferBurst>;
template class PairForwarder<true, MbufBurst>;
template class PairForwarder<true, TransferBurst>;
template class DiscardForwarder<MbufBurst>;
template class DiscardForwarder<TransferBurst>;

}  // namespace vhostx::tools
