// SPDX-License-Identifier: BSD-3-Clause
// A guest that writes anything into its packed rings and buffers: both directions of the data path over it, and from
// guest to guest.
//
// Input: the PackedControl below, then what memory holds, from the descriptor ring on.
#include <rte_mbuf.h>

#include "fuzz/ring_world.hpp"
#include "net/dequeue.hpp"
#include "net/enqueue.hpp"
#include "net/move.hpp"
#include "net/peek.hpp"
#include "virtqueue/packed_layout.hpp"
#include "virtqueue/packed_queue.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::fuzz;
using virtqueue::PackedPosition;

constexpr std::uint32_t size_max = 200;
constexpr std::uint64_t driver_at = avail_at;
constexpr std::uint64_t device_at = used_at;

struct PackedControl {
  std::uint8_t size;            ///< Of the ring, less one.
  std::uint8_t way;             ///< What bursts do.
  std::uint8_t features;        ///< One bit a feature, as in ring_world.hpp.
  std::uint8_t ring_features;   ///< Indirect, EVENT_IDX, IN_ORDER, notifications.
  std::uint16_t start;          ///< Where both sides begin, with its wrap counter.
  std::uint8_t packet_length;   ///< Of packets to the guest, in units of 16 bytes.
  std::uint8_t more_available;  ///< Entries whose flags the driver turns before each burst.
  std::uint8_t bursts;
  std::uint8_t padding;
};

void from_guest(const net::PackedContext& context) {
  std::array<rte_mbuf*, burst_max> packets;
  const auto result = net::dequeue(context, pool(), packets.data(), burst_max);
  require(result.packets <= burst_max);
  for (std::uint16_t i = 0; i < result.packets; ++i) {
    const char* reason = nullptr;
    require(rte_mbuf_check(packets[i], 1, &reason) == 0);
    require(packets[i]->pkt_len >= net::ethernet_header_bytes && packets[i]->pkt_len <= net::packet_bytes_max);
    rte_pktmbuf_free(packets[i]);
  }
}

void to_guest(const net::PackedContext& context, std::uint32_t length) {
  std::array<rte_mbuf*, 8> packets;
  for (auto*& packet : packets) {
    packet = rte_pktmbuf_alloc(pool());
    require(packet != nullptr);
    const auto room = static_cast<std::uint16_t>(std::min<std::uint32_t>(length + 14, 2000));
    std::memset(rte_pktmbuf_append(packet, room), 0x5a, room);
  }
  require(net::enqueue(context, packets.data(), static_cast<std::uint16_t>(packets.size())).packets <= packets.size());
  rte_pktmbuf_free_bulk(packets.data(), static_cast<unsigned>(packets.size()));
}

/// Half of what is looked at is given back; the rest is looked at again.
void look_and_copy(const net::PackedContext& context) {
  static const auto burst = std::make_unique<net::PeekedBurst>();
  const std::uint16_t found = net::peek(context, burst_max, *burst).packets;
  const auto done = static_cast<std::uint16_t>((found + 1) / 2);
  for (std::uint16_t i = 0; i < done; ++i) rte_pktmbuf_free(net::copy_out(*burst, i, pool()));
  if (found != 0) net::give_back(context, *burst, done);
}

/// The driver makes the next entries available, whatever they hold.
void turn_flags(const virtqueue::PackedLayout& layout, PackedPosition at, std::uint32_t entries) {
  for (std::uint32_t i = 0; i < std::min(entries, layout.size); ++i, at = at.after(1, layout.size)) {
    std::uint8_t* const flags = world().guest.at(base + at.index() * virtqueue::PackedTable::entry_bytes + 14);
    std::uint16_t value = 0;
    std::memcpy(&value, flags, sizeof value);
    constexpr std::uint16_t both = virtqueue::packed_avail_flag | virtqueue::packed_used_flag;
    value = static_cast<std::uint16_t>((value & ~both) | at.available());
    std::memcpy(flags, &value, sizeof value);
  }
}

void burst(const PackedControl& control, const net::PackedContext& context) {
  switch (control.way % 4) {
    case 0:
      return from_guest(context);
    case 1:
      return to_guest(context, std::uint32_t{control.packet_length} * 16);
    case 2:
      return look_and_copy(context);
    default:
      static_cast<void>(virtqueue::pending(context.layout, context.cursor));
      static_cast<void>(virtqueue::set_notifications(context.layout, context.cursor, control.packet_length % 2 != 0));
      return from_guest(context);
  }
}

void run(const PackedControl& control) {
  auto& guest = world().guest;
  const std::uint32_t size = control.size % size_max + 1;
  const auto bit = [&](int i) { return (control.ring_features >> i & 1) != 0; };
  const auto layout = virtqueue::lay_out_packed(
      *world().memory, {guest.front_end(base), guest.front_end(driver_at), guest.front_end(device_at)}, size,
      {.indirect = bit(0), .event_idx = bit(1), .in_order = bit(2)});
  require(layout.ok());
  const auto start = static_cast<std::uint16_t>((control.start & 0x8000) | (control.start & 0x7fff) % size);
  virtqueue::VringCursor cursor{.position = {.avail_next = start, .used_next = start}};
  cursor.position.notifications = bit(3);
  net::RingCounters counters;
  const net::PackedContext context{*layout, *world().memory, cursor, counters, features_of(control.features), 9022};
  for (int i = 0; i <= control.bursts % 8 && cursor.fault.cause == VringFaultCause::none; ++i) {
    turn_flags(*layout, {cursor.position.avail_next}, control.more_available);
    burst(control, context);
    // What is out is never more than the ring, and what is given back was taken.
    const PackedPosition taken{cursor.position.avail_next}, used{cursor.position.used_next};
    require(taken.index() < size && used.index() < size && taken.since(used, size) <= size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  PackedControl control;
  if (size < sizeof control || size - sizeof control > 2 * region_bytes) return 0;
  std::memcpy(&control, data, sizeof control);
  fill_memory(data + sizeof control, size - sizeof control);
  run(control);
  require(rte_mempool_in_use_count(pool()) == 0);
  return 0;
}
