// SPDX-License-Identifier: BSD-3-Clause
// Forwarders: the inner loops.
#include "tools/switch/forwarders.hpp"

#include <cstddef>
#include <cstring>

#include <rte_prefetch.h>

#include "tools/switch/flow_hash.hpp"

namespace vhostx::tools {
namespace {

constexpr std::uint16_t ethernet_header_length = 14;
constexpr std::uint16_t prefetch_ahead = 4;

std::byte* frame_of(rte_mbuf* packet) noexcept { return rte_pktmbuf_mtod(packet, std::byte*); }

void prefetch_first(rte_mbuf* const* packets, std::uint16_t count) noexcept {
  for (std::uint16_t i = 0; i < count && i < prefetch_ahead; ++i) rte_prefetch0(frame_of(packets[i]));
}
void prefetch_next(rte_mbuf* const* packets, std::uint16_t i, std::uint16_t count) noexcept {
  if (i + prefetch_ahead < count) rte_prefetch0(frame_of(packets[i + prefetch_ahead]));
}

void swap_addresses(rte_mbuf* packet) noexcept {
  if (packet->data_len < ethernet_header_length) return;
  std::byte* const frame = frame_of(packet);
  const std::uint64_t destination = destination_of(frame);
  const std::uint64_t source = source_of(frame);
  const std::uint64_t first = source | destination << 48;
  const auto last = static_cast<std::uint32_t>(destination >> 16);
  std::memcpy(frame, &first, sizeof first);
  std::memcpy(frame + sizeof first, &last, sizeof last);
}

/// The queue of `port` for this packet: flows are spread when the guest uses several.
TxQueue* queue_for(const SwitchPort& port, const rte_mbuf* packet) noexcept {
  return port.pick(port.ready.count() > 1 ? flow_hash(packet) : 0);
}

}  // namespace

std::uint32_t LearningForwarder::operator()(RxLane& lane) noexcept {
  std::array<rte_mbuf*, burst_max> packets;
  const auto count = lane.receive(fabric_.pool, packets.data());
  if (count == 0) return 0;
  Recent recent;
  prefetch_first(packets.data(), count);
  for (std::uint16_t i = 0; i < count;) {
    prefetch_next(packets.data(), i, count);
    forward(lane, packets[i++], recent);
    if (recent.queue == nullptr) continue;
    // What follows with the same addresses goes the same way.
    const std::uint16_t first = i;
    for (; i < count && recent.is_of(packets[i]); ++i) prefetch_next(packets.data(), i, count);
    out_.add(*recent.queue, packets.data() + first, static_cast<std::uint16_t>(i - first));
  }
  out_.send_all();
  return count;
}

bool LearningForwarder::Recent::is_of(const rte_mbuf* packet) const noexcept {
  if (packet->data_len < ethernet_header_length) return false;
  const void* const frame = rte_pktmbuf_mtod(packet, const void*);
  return source_of(frame) == source && destination_of(frame) == destination;
}

void LearningForwarder::forward(const RxLane& lane, rte_mbuf* packet, Recent& recent) noexcept {
  if (packet->data_len < ethernet_header_length) [[unlikely]] {
    drops_[lane.port].malformed.add(1);
    rte_pktmbuf_free(packet);
    return;
  }
  const void* const frame = frame_of(packet);
  const auto source = source_of(frame);
  const auto destination = destination_of(frame);
  if (source != recent.source) fabric_.macs->learn(source, lane.port);
  recent.source = source;
  if (is_group(destination)) return flood(lane, packet);
  recent.port = fabric_.macs->lookup(destination);
  recent.destination = destination;
  recent.queue = nullptr;
  if (recent.port == MacTable::no_port) return flood(lane, packet);
  unicast(lane, packet, recent);
}

void LearningForwarder::unicast(const RxLane& lane, rte_mbuf* packet, Recent& recent) noexcept {
  if (recent.port == lane.port) [[unlikely]] {
    drops_[recent.port].same_port.add(1);
    rte_pktmbuf_free(packet);
    return;
  }
  const SwitchPort& port = *fabric_.ports[recent.port];
  TxQueue* const queue = queue_for(port, packet);
  if (queue == nullptr) [[unlikely]] {
    drops_[recent.port].not_ready.add(1);
    rte_pktmbuf_free(packet);
    return;
  }
  if (port.tx.size() == 1) recent.queue = queue;
  out_.add(*queue, packet);
}

/// One more reference for each port that takes packets; ports without a guest are no loss.
void LearningForwarder::flood(const RxLane& lane, rte_mbuf* packet) noexcept {
  for (const auto& port : fabric_.ports) {
    if (port->id == lane.port) continue;
    TxQueue* const queue = queue_for(*port, packet);
    if (queue == nullptr) continue;
    rte_pktmbuf_refcnt_update(packet, 1);
    out_.add(*queue, packet);
  }
  rte_pktmbuf_free(packet);
}

template <bool SwapAddresses>
std::uint32_t PairForwarder<SwapAddresses>::operator()(RxLane& lane) noexcept {
  std::array<rte_mbuf*, burst_max> packets;
  const auto count = lane.receive(fabric_.pool, packets.data());
  if (count == 0) return 0;
  if constexpr (SwapAddresses) {
    prefetch_first(packets.data(), count);
    for (std::uint16_t i = 0; i < count; ++i) {
      prefetch_next(packets.data(), i, count);
      swap_addresses(packets[i]);
    }
  }
  const auto peer = fabric_.peer_of(lane.port);
  if (TxQueue* const queue = fabric_.ports[peer]->pick(lane.pair)) [[likely]] {
    queue->send(packets.data(), count);
  } else {
    drops_[peer].not_ready.add(count);
    release_burst(packets.data(), count);
  }
  return count;
}

std::uint32_t DiscardForwarder::operator()(RxLane& lane) noexcept {
  std::array<rte_mbuf*, burst_max> packets;
  const auto count = lane.receive(fabric_.pool, packets.data());
  release_burst(packets.data(), count);
  return count;
}

template class PairForwarder<false>;
template class PairForwarder<true>;

}  // namespace vhostx::tools
