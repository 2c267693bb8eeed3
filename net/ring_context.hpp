// SPDX-License-Identifier: BSD-3-Clause
// What a burst works on; the vring collects it for one burst.
#pragma once

#include <cstdint>

#include "memory/guest_memory.hpp"
#include "net/ring_counters.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::net {

struct RingContext {
  const virtqueue::RingLayout& layout;
  const memory::GuestMemory& memory;
  virtqueue::VringCursor& cursor;
  RingCounters& counters;
  std::uint64_t features;   ///< Negotiated virtio features.
  std::uint32_t frame_max;  ///< Largest frame to the guest without segmentation offload, bytes.
};

struct BurstResult {
  std::uint16_t packets = 0;
  bool needs_call = false;  ///< Used buffers were published and the driver wants to know.
};

/// Packets taken through the stages of the fast path together; arrays of this size live on the stack.
inline constexpr std::uint16_t batch_max = 32;

/// Largest packet taken from a guest: an IPv6 packet of 65,535 bytes of payload, Ethernet and two VLAN tags.
inline constexpr std::uint32_t packet_bytes_max = 65535 + 40 + 14 + 8;

inline constexpr std::uint32_t ethernet_header_bytes = 14;

/// For a call that has spent its budget and moved no packet. If that repeats, with chains that no real driver makes,
/// the ring is broken; `head` is one of these chains.
inline void judge_walk(const RingContext& context, virtqueue::SplitQueue& queue, const virtqueue::WalkBudget& budget,
                       std::uint16_t head) noexcept {
  if (budget.is_wasted() && context.cursor.meter.count_fruitless(context.counters.value(VringCounter::packets)))
    queue.fail({VringFaultCause::fruitless, head, budget.descriptors(), virtqueue::fruitless_calls_max});
}

/// Updates the counters after a burst that moved packets.
inline void count_burst(RingCounters& counters, std::uint64_t packets, std::uint64_t bytes) noexcept {
  counters.add(VringCounter::packets, packets);
  counters.add(VringCounter::bytes, bytes);
  counters.add(VringCounter::bursts, 1);
}

}  // namespace vhostx::net
