// SPDX-License-Identifier: BSD-3-Clause
// A guest that writes anything into its rings and buffers: both directions of the data path over it, and from guest to
// guest.
#include <array>

#include <rte_mbuf.h>

#include "fuzz/ring_world.hpp"
#include "net/dequeue.hpp"
#include "net/enqueue.hpp"
#include "net/move.hpp"
#include "net/peek.hpp"
#include "virtqueue/any_layout.hpp"
#include "virtqueue/posted_sample.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::fuzz;

void take(rte_mbuf* packet) {
  const char* reason = nullptr;
  require(rte_mbuf_check(packet, 1, &reason) == 0);
  require(packet->pkt_len >= net::ethernet_header_bytes && packet->pkt_len <= net::packet_bytes_max);
  rte_pktmbuf_free(packet);
}

void from_guest(const net::Context auto& context) {
  std::array<rte_mbuf*, burst_max> packets;
  const auto result = net::dequeue(context, pool(), packets.data(), burst_max);
  require(result.packets <= burst_max);
  for (std::uint16_t i = 0; i < result.packets; ++i) take(packets[i]);
}

constexpr std::uint16_t segment_bytes = 2000;

rte_mbuf* make_segment(std::uint32_t length) {
  rte_mbuf* const segment = rte_pktmbuf_alloc(pool());
  require(segment != nullptr);
  std::memset(rte_pktmbuf_append(segment, static_cast<std::uint16_t>(length)), 0x5a, length);
  return segment;
}

/// In several mbufs: takes several chains, or none.
rte_mbuf* make_large(std::uint32_t length) {
  rte_mbuf* const packet = make_segment(segment_bytes);
  for (std::uint32_t left = 4 * length; left != 0; left -= std::min<std::uint32_t>(left, segment_bytes))
    require(rte_pktmbuf_chain(packet, make_segment(std::min<std::uint32_t>(left, segment_bytes))) == 0);
  return packet;
}

/// TCP over IPv4, to be cut into segments of 100 bytes.
rte_mbuf* make_cut(std::uint32_t length) {
  rte_mbuf* const packet = make_large(length);
  auto* const bytes = rte_pktmbuf_mtod(packet, std::uint8_t*);
  std::memset(bytes, 0, 54);
  bytes[12] = 0x08;
  bytes[14] = 0x45;
  const std::uint32_t ip = packet->pkt_len - 14;
  bytes[16] = static_cast<std::uint8_t>(ip >> 8);
  bytes[17] = static_cast<std::uint8_t>(ip);
  bytes[23] = 6;
  bytes[46] = 0x50;
  packet->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
  packet->l2_len = 14;
  packet->l3_len = 20;
  packet->l4_len = 20;
  packet->tso_segsz = 100;
  return packet;
}

void to_guest(const net::Context auto& context, const Control& control) {
  const std::uint32_t length = std::uint32_t{control.packet_length} * 16;
  std::array<rte_mbuf*, 8> packets;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const unsigned kind = control.to_guest >> 1 & i & 3;
    packets[i] = kind == 0   ? make_segment(std::min<std::uint32_t>(length + 14, segment_bytes))
                 : kind == 1 ? make_cut(length)
                             : make_large(length);
  }
  const auto result = net::enqueue(context, packets.data(), static_cast<std::uint16_t>(packets.size()));
  require(result.packets <= packets.size());
  rte_pktmbuf_free_bulk(packets.data(), static_cast<unsigned>(packets.size()));
}

/// Half of what is looked at is given back; the rest is looked at again.
template <net::Context C, typename Use>
void look(const C& context, Use use) {
  static const auto burst = std::make_unique<net::PeekedBurst>();
  const std::uint16_t found = net::peek(context, burst_max, *burst).packets;
  require(found <= net::batch_max);
  const auto done = static_cast<std::uint16_t>((found + 1) / 2);
  use(*burst, done);
  if (found != 0) net::give_back(context, *burst, done);
}

void look_and_copy(const net::Context auto& context) {
  look(context, [](net::PeekedBurst& burst, std::uint16_t done) {
    for (std::uint16_t i = 0; i < done; ++i) rte_pktmbuf_free(net::copy_out(burst, i, pool()));
  });
}

constexpr std::uint64_t other_ring = 0x4000;

/// Into another ring of the same kind of guest, whose memory also holds anything.
template <net::Context C, typename Layout>
void look_and_move(const C& from, const Layout& layout, std::uint16_t start) {
  virtqueue::VringCursor cursor{.position = {.avail_next = start, .used_next = start}};
  net::RingCounters counters;
  const net::ContextOf<Layout> to{layout, from.memory, cursor, counters, from.features, from.frame_max};
  look(from, [&to](net::PeekedBurst& burst, std::uint16_t done) {
    if (done == 0) return;
    std::array<std::uint8_t, net::batch_max> which{};
    for (std::uint8_t i = 0; i < which.size(); ++i) which[i] = static_cast<std::uint8_t>((which.size() - 1 - i) % done);
    require(net::move(to, burst, which.data(), done).packets <= done);
  });
}

template <net::Context C>
void look_and_move(const C& from, const Control& control) {
  const bool to_packed = (control.to_guest & 16) != 0;
  const std::uint32_t size = 1U << (control.more_available % 8);
  if (to_packed) {
    const auto layout = virtqueue::lay_out_packed(*world().memory, ring_at(other_ring), size, control.ring_features());
    require(layout.ok());
    look_and_move(from, *layout, virtqueue::PackedPosition{}.value);
  } else {
    const auto layout = virtqueue::lay_out_ring(*world().memory, ring_at(other_ring), size, control.ring_features());
    require(layout.ok());
    look_and_move(from, *layout, 0);
  }
}

/// What a data thread that waits asks, and what it tells the driver.
void wait(const net::Context auto& context, bool on) {
  static_cast<void>(virtqueue::is_idle(context.layout, context.cursor));
  static_cast<void>(virtqueue::pending(context.layout, context.cursor));
  const auto watched = virtqueue::watch(context.layout, context.cursor);
  [[maybe_unused]] const volatile std::uint16_t word = *watched.word;
  static_cast<void>(virtqueue::set_notifications(context.layout, context.cursor, on));
}

void burst_from_guest(const net::Context auto& context, const Control& control) {
  switch (control.to_guest >> 1 & 7) {
    case 1:
      return look_and_copy(context);
    case 2:
      return look_and_move(context, control);
    case 3:
      wait(context, control.packet_length % 2 != 0);
      return from_guest(context);
    case 4:
      static_cast<void>(net::drop_available(context));
      return;
    default:
      return from_guest(context);
  }
}

virtqueue::AnyLayout any(const virtqueue::RingLayout& layout) { return {.split = layout}; }
virtqueue::AnyLayout any(const virtqueue::PackedLayout& layout) {
  return {.packed = layout, .kind = virtqueue::RingKind::packed};
}

/// What the control thread reads of a ring, to know where its buffers are and where it goes on: only of guest memory.
void look_at_ring(const net::Context auto& context) {
  const virtqueue::AnyLayout layout = any(context.layout);
  std::array<const std::uint8_t*, 64> buffers;
  const std::size_t count = virtqueue::sample_posted(layout, context.memory, buffers);
  require(count <= buffers.size());
  for (std::size_t i = 0; i < count; ++i) {
    [[maybe_unused]] const volatile std::uint8_t first = *buffers[i];
  }
  static_cast<void>(layout.was_used());
  const auto found = virtqueue::start_position(layout, 0);
  if (layout.kind == virtqueue::RingKind::packed && found)
    require(virtqueue::PackedPosition{found->avail_next}.index() < layout.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Control control;
  if (!read_input(data, size, control)) return 0;
  run_bursts(control, [&control](const net::Context auto& context, bool) {
    control.is_to_guest() ? to_guest(context, control) : burst_from_guest(context, control);
    look_at_ring(context);
  });
  require(rte_mempool_in_use_count(pool()) == 0);  // nothing of ours stays behind
  return 0;
}
