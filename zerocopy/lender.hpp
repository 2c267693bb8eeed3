// SPDX-License-Identifier: BSD-3-Clause
// Lender: a net::ChainTaker that lends a ring's chains as mbufs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "memory/load_hook.hpp"
#include "net/dequeuer.hpp"
#include "net/packet_headers.hpp"
#include "zerocopy/lending.hpp"
#include "zerocopy/segments.hpp"

namespace vhostx::zerocopy {

/// Larger packets take more than one mbuf.
inline constexpr std::uint32_t lent_simple_max = 65535;

/// The first bytes of a packet, to look at its headers.
inline net::PacketHead copy_head(const Pieces& packet) noexcept {
  net::PacketHead head;
  head.packet_length = packet.bytes;
  for (const memory::HostSpan& span : packet) {
    const auto part = std::min<std::size_t>(span.size, net::parsed_bytes_max - head.length);
    std::memcpy(head.bytes + head.length, span.data, part);
    memory::loaded(span.data, part);
    head.length = static_cast<std::uint16_t>(head.length + part);
  }
  return head;
}

/// Lends packets, and copies the small ones and those that cannot be lent.
template <virtqueue::Virtqueue Queue, std::uint16_t net_header_bytes>
class Lender {
  using HostSpan = memory::HostSpan;
  using ChainOutcome = net::ChainOutcome;

 public:
  using Burst = net::DequeueBurst<Queue, net_header_bytes>;

  Lender(const net::RingContext& context, Queue& queue, rte_mempool* pool, rte_mbuf** packets,
         const Lending& lending) noexcept
      : burst_(context, queue, pool, packets), lending_(lending), copy_below_(lending.table.copy_below()) {}

  net::BurstResult run(std::uint16_t count) noexcept {
    const net::BurstResult result = burst_.run(*this, count);
    if (lent_ != 0) {
      lending_.table.count_taken(lending_.pin, lent_);
      burst_.context.counters.add(VringCounter::lent, lent_);
      burst_.queue.publish_position();
    }
    const std::uint64_t small = result.packets - lent_ - copied_large_;
    if (small != 0) burst_.context.counters.add(VringCounter::copied_small, small);
    return result;
  }

  // As net::ChainTaker has them.
  [[gnu::always_inline]] std::uint16_t load(Burst&, std::uint16_t chains) noexcept {
    const std::uint32_t copied_max = copy_below_ == 0 ? 0 : copy_below_ - 1;
    const std::uint16_t good =
        burst_.batch.load(burst_.queue, burst_.context.memory, chains, std::min(burst_.fresh.room(), copied_max),
                          lent_simple_max, burst_.context.cursor.hint);
    if (!burst_.batch.all_small() && now_ == 0) prepare_to_lend();
    return good;
  }
  [[gnu::always_inline]] std::uint16_t take_straight(Burst&, std::uint16_t begin, std::uint16_t end) noexcept {
    return burst_.batch.all_small() ? burst_.template take_run<true>(begin, end) : begin;
  }
  ChainOutcome take_chain(Burst&, std::uint16_t i) noexcept {
    return burst_.batch.is_simple(i) ? take_simple(i) : take_any(i);
  }

 private:
  using Header = typename Burst::Header;
  using Walker = typename Burst::Walker;

  /// Set up at the first packet to lend: a burst of small packets does not need it.
  void prepare_to_lend() noexcept {
    now_ = rte_rdtsc();
    dma_ = lending_.pin.memory().get();
    attaches_ = can_attach(burst_.pool);
  }

  [[gnu::always_inline]] ChainOutcome take_simple(std::uint16_t i) noexcept {
    auto& batch = burst_.batch;
    const std::uint8_t* const data = batch.body(i);
    const std::uint32_t length = batch.length(i);
    const virtqueue::Chain chain = batch.simple_chain(i);
    const auto asked = memory::load_once<std::uint16_t>(batch.header(i));
    if (asked == 0 && length >= copy_below_ && lend_plain(data, length, chain)) [[likely]]
      return ChainOutcome::lent;
    Pieces packet;
    packet.add({data, length});
    const auto requested = asked == 0 ? net::VirtioNetHeader() : net::load_header(asked, batch.header(i));
    return take_packet(packet, chain, requested);
  }

  /// Lends a packet in one piece without offload requests. False: it cannot be lent this way, and nothing has changed.
  [[gnu::always_inline]] bool lend_plain(const std::uint8_t* data, std::uint32_t length,
                                         const virtqueue::Chain& chain) noexcept {
    const auto [iova, size] = dma_->find(data, length);
    if (!attaches_ || size != length) [[unlikely]]
      return false;
    Loan* const loan = lending_.table.take_uncounted(lending_.pin, chain, now_);
    if (loan == nullptr) [[unlikely]]
      return false;
    burst_.fresh.apply_external(burst_.next(), data, iova, static_cast<std::uint16_t>(length), &loan->shared);
    ++lent_;
    burst_.bytes += length;
    return true;
  }

  /// Walks the whole chain before anything is done with it. A chain with too many pieces is copied.
  [[gnu::noinline]] ChainOutcome take_any(std::uint16_t i) noexcept {
    auto walker = burst_.walk(i);
    Header header;
    Pieces packet;
    HostSpan span;
    for (;;) {
      const auto step = walker.next(span);
      if (step == Walker::Step::invalid) return burst_.break_ring(walker);
      if (step == Walker::Step::end) break;
      header.take(span);
      if (span.size > net::packet_bytes_max - packet.bytes) return burst_.drop(VringCounter::drop_too_large);
      if (span.size != 0 && !packet.add(span)) return copy_long_chain(walker, packet, span, header);
    }
    if (!header.is_whole() || packet.bytes < net::ethernet_header_bytes)
      return burst_.drop(VringCounter::drop_short_chain);
    const ChainOutcome outcome = take_packet(packet, walker.chain(), header.header());
    return outcome == ChainOutcome::lent ? ChainOutcome::walked : outcome;
  }

  ChainOutcome take_packet(const Pieces& packet, const virtqueue::Chain& chain,
                           const net::VirtioNetHeader& requested) noexcept {
    rte_mbuf* const mbuf = burst_.next();
    burst_.fresh.apply(mbuf, 0);
    bool checksum_open = false;
    if (net::asks_offload(requested)) [[unlikely]] {
      net::GuestOffload offload;
      if (!net::check_guest_offload(requested, burst_.context.features, copy_head(packet), offload))
        return burst_.drop(VringCounter::drop_bad_header);
      net::describe_guest_offload(offload, mbuf);
      checksum_open = offload.complete_checksum;
    }
    if (packet.bytes < copy_below_) return copy(packet, requested);
    Segments segments;
    if (checksum_open || !attaches_ || !is_worth_lending(packet) || !segments.add(*dma_, packet))
      return count_large(VringCounter::copied_shape, copy(packet, requested));
    Loan* const loan = lending_.table.take_uncounted(lending_.pin, chain, now_);
    if (loan == nullptr) return count_large(VringCounter::copied_full, copy(packet, requested));
    if (!segments.attach(mbuf, burst_.pool, *loan, true)) {
      lending_.table.cancel_uncounted(*loan);
      return burst_.stall();
    }
    ++lent_;
    burst_.bytes += packet.bytes;
    return ChainOutcome::lent;
  }

  /// Whether the pieces are large enough: each takes an mbuf, and a hostile guest could drain the pool.
  bool is_worth_lending(const Pieces& packet) const noexcept { return packet.bytes / packet.count >= copy_below_; }

  ChainOutcome copy(const Pieces& packet, const net::VirtioNetHeader& requested) noexcept {
    rte_mbuf* const mbuf = burst_.next();
    burst_.fresh.apply(mbuf, 0);
    net::MbufWriter writer(burst_.pool, mbuf);
    ChainOutcome outcome = append(writer, packet) ? ChainOutcome::copied : burst_.stall();
    if (outcome == ChainOutcome::copied && net::asks_offload(requested) && !burst_.offload(mbuf, requested))
      outcome = ChainOutcome::dropped;
    if (outcome == ChainOutcome::copied)
      burst_.bytes += packet.bytes;
    else
      writer.discard();
    return outcome;
  }

  static bool append(net::MbufWriter& writer, const Pieces& packet) noexcept {
    return std::all_of(packet.begin(), packet.end(), [&writer](const HostSpan& span) { return writer.append(span); });
  }

  /// Copies the pieces so far, `next`, and the rest of the chain.
  ChainOutcome copy_long_chain(Walker& walker, const Pieces& packet, HostSpan next, Header& header) noexcept {
    rte_mbuf* const mbuf = burst_.next();
    burst_.fresh.apply(mbuf, 0);
    net::MbufWriter writer(burst_.pool, mbuf);
    const ChainOutcome outcome = append(writer, packet) && writer.append(next)
                                     ? burst_.copy_chain(walker, writer, mbuf, header)
                                     : burst_.stall();
    if (outcome != ChainOutcome::copied) writer.discard();
    return count_large(VringCounter::copied_shape, outcome);
  }

  ChainOutcome count_large(VringCounter cause, ChainOutcome outcome) noexcept {
    if (outcome != ChainOutcome::copied) return outcome;
    burst_.context.counters.add(cause, 1);
    ++copied_large_;
    return outcome;
  }

  Burst burst_;
  const Lending lending_;
  const DmaMemory* dma_ = nullptr;
  const std::uint32_t copy_below_;
  std::uint64_t now_ = 0;  // 0: not prepared
  bool attaches_ = false;
  std::uint32_t lent_ = 0;
  std::uint64_t copied_large_ = 0;
};

}  // namespace vhostx::zerocopy
