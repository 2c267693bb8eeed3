// SPDX-License-Identifier: BSD-3-Clause
// What a burst works on; the vring collects it for one burst.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "memory/guest_memory.hpp"
#include "net/ring_counters.hpp"
#include "net/virtio_net_header.hpp"
#include "virtqueue/packed_queue.hpp"
#include "virtqueue/split_queue.hpp"
#include "virtqueue/virtqueue.hpp"

namespace vhostx::net {

/// Of a ring of either kind: what all of a burst sees but its queue.
struct RingContext {
  const memory::GuestMemory& memory;
  virtqueue::VringCursor& cursor;
  RingCounters& counters;
  std::uint64_t features;   ///< Negotiated virtio features.
  std::uint32_t frame_max;  ///< Largest frame to the guest without segmentation offload, bytes.
};

/// A ring of one kind.
template <typename RingLayout>
struct ContextOf : RingContext {
  ContextOf(const RingLayout& ring, const memory::GuestMemory& mapped, virtqueue::VringCursor& state,
            RingCounters& counted, std::uint64_t negotiated, std::uint32_t largest) noexcept
      : RingContext{mapped, state, counted, negotiated, largest}, layout(ring) {}

  const RingLayout& layout;
};
using SplitContext = ContextOf<virtqueue::RingLayout>;
using PackedContext = ContextOf<virtqueue::PackedLayout>;

/// The same for a guest whose writes are logged, or whose chains are recorded (InflightRecord).
template <typename Base>
struct Logged : Base {
  virtqueue::LogMarks marks;
};

/// A burst takes any of the four, so that one that marks nothing has no instruction for it, and one on a split ring
/// none for packed rings.
template <typename C>
concept Context = std::derived_from<C, SplitContext> || std::derived_from<C, PackedContext>;

struct BurstResult {
  std::uint16_t packets = 0;
  bool needs_call = false;  ///< Used buffers were published and the driver wants to know.
};

using virtqueue::batch_max;

/// Largest packet taken from a guest: an IPv6 packet of 65,535 bytes of payload, Ethernet and two VLAN tags.
inline constexpr std::uint32_t packet_bytes_max = 65535 + 40 + 14 + 8;

inline constexpr std::uint32_t ethernet_header_bytes = 14;

/// The chains of the straight path, by direction: net header and packet.
template <std::uint16_t net_header_bytes>
using FromGuest =
    virtqueue::Shape<virtqueue::Direction::readable, net_header_bytes, ethernet_header_bytes, packet_bytes_max>;
template <std::uint16_t net_header_bytes>
using ToGuest = virtqueue::Shape<virtqueue::Direction::writable, net_header_bytes, 1, packet_bytes_max>;

inline virtqueue::NoMarks marks_of(const RingContext&) noexcept { return {}; }
template <typename Base>
const virtqueue::LogMarks& marks_of(const Logged<Base>& context) noexcept {
  return context.marks;
}

/// Calls `use` with the ring's queue for one burst. Here the kind of ring is chosen.
template <Context C, typename Use>
[[gnu::always_inline]] inline BurstResult with_queue(const C& context, Use use) noexcept {
  if constexpr (std::derived_from<C, PackedContext>) {
    virtqueue::PackedQueue queue(context.layout, context.cursor, marks_of(context));
    return use(queue);
  } else {
    virtqueue::SplitQueue queue(context.layout, context.cursor, marks_of(context));
    return use(queue);
  }
}

/// Calls `use` with the length of the net header, as a constant.
template <typename Use>
[[gnu::always_inline]] inline BurstResult with_header(const RingContext& context, Use use) noexcept {
  if (header_length(context.features) == header_length_full)
    return use(std::integral_constant<std::uint16_t, header_length_full>());
  return use(std::integral_constant<std::uint16_t, header_length_legacy>());
}

/// Ends a burst that moved `packets`.
template <virtqueue::Virtqueue Queue>
[[gnu::always_inline]] inline BurstResult publish(Queue& queue, std::uint16_t packets = 0) noexcept {
  return {.packets = packets, .needs_call = queue.publish() && queue.needs_call()};
}

/// For a call that has spent its budget and moved no packet. If that repeats, with chains that no real driver makes,
/// the ring is broken; `id` is of one of these chains.
template <virtqueue::Virtqueue Queue>
void judge_walk(const RingContext& context, Queue& queue, const virtqueue::WalkBudget& budget,
                std::uint16_t id) noexcept {
  if (budget.is_wasted() && context.cursor.meter.count_fruitless(context.counters.value(VringCounter::packets)))
    queue.fail({VringFaultCause::fruitless, id, budget.descriptors(), virtqueue::fruitless_calls_max});
}

/// Updates the counters after a burst that moved packets.
inline void count_burst(RingCounters& counters, std::uint64_t packets, std::uint64_t bytes) noexcept {
  counters.add(VringCounter::packets, packets);
  counters.add(VringCounter::bytes, bytes);
  counters.add(VringCounter::bursts, 1);
}

}  // namespace vhostx::net
