// SPDX-License-Identifier: BSD-3-Clause
#include "zerocopy/dequeue.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "memory/load_hook.hpp"
#include "net/dequeue.hpp"
#include "net/dequeuer.hpp"
#include "net/packet_headers.hpp"
#include "zerocopy/segments.hpp"

namespace vhostx::zerocopy {
namespace {

using memory::HostSpan;
using net::ChainOutcome;
using virtqueue::SplitQueue;

/// Larger packets take more than one mbuf.
constexpr std::uint32_t lent_simple_max = 65535;

[[gnu::noinline]] void return_chains(SplitQueue& queue, LoanTable& table) noexcept {
  table.collect([&queue](std::uint16_t head) { queue.add_used(head, 0); });
}

net::PacketHead copy_head(const Pieces& packet) noexcept {
  net::PacketHead head;
  head.packet_length = packet.bytes;
  for (const HostSpan& span : packet) {
    const auto part = std::min<std::size_t>(span.size, net::parsed_bytes_max - head.length);
    std::memcpy(head.bytes + head.length, span.data, part);
    memory::loaded(span.data, part);
    head.length = static_cast<std::uint16_t>(head.length + part);
  }
  return head;
}

template <std::uint16_t net_header_bytes>
class Lender : public net::Dequeuer<net_header_bytes, Lender<net_header_bytes>> {
 public:
  using Base = net::Dequeuer<net_header_bytes, Lender<net_header_bytes>>;

  Lender(const net::RingContext& context, SplitQueue& queue, rte_mempool* pool, rte_mbuf** packets,
         const Lending& lending) noexcept
      : Base(context, queue, pool, packets), lending_(lending), copy_below_(lending.table.copy_below()) {}

  net::BurstResult run(std::uint16_t count) noexcept {
    const net::BurstResult result = Base::run(count);
    if (lent_ != 0) {
      lending_.table.count_taken(lending_.pin, lent_);
      this->context_.counters.add(VringCounter::lent, lent_);
      this->queue_.publish_position();
    }
    const std::uint64_t small = result.packets - lent_ - copied_large_;
    if (small != 0) this->context_.counters.add(VringCounter::copied_small, small);
    return result;
  }

 private:
  friend Base;
  using PrivateHeader = typename Base::PrivateHeader;

  [[gnu::always_inline]] std::uint16_t load(std::uint16_t batch) noexcept {
    const std::uint32_t copied_max = copy_below_ == 0 ? 0 : copy_below_ - 1;
    const std::uint16_t good =
        this->batch_.load(this->queue_, this->context_, batch, std::min(this->template_.room(), copied_max),
                          lent_simple_max, this->context_.cursor.hint);
    if (!this->batch_.all_small() && now_ == 0) prepare_to_lend();
    return good;
  }

  /// Set up at the first packet to lend: a burst of small packets does not need it.
  void prepare_to_lend() noexcept {
    now_ = rte_rdtsc();
    dma_ = lending_.pin.memory().get();
    attaches_ = can_attach(this->pool_);
  }

  [[gnu::always_inline]] std::uint16_t take_straight(std::uint16_t begin, std::uint16_t batch) noexcept {
    return this->batch_.all_small() ? this->template take_run<true>(begin, batch) : begin;
  }

  ChainOutcome take_chain(std::uint16_t i) noexcept { return this->batch_.is_simple(i) ? take_simple(i) : take_any(i); }

  [[gnu::always_inline]] ChainOutcome take_simple(std::uint16_t i) noexcept {
    auto& batch = this->batch_;
    const bool one_piece = batch.one_piece();
    std::uint8_t* const data = one_piece ? batch.template payload<true>(i) : batch.template payload<false>(i);
    const std::uint32_t length = batch.length(i);
    // In a batch that is not all one piece each chain counts as two: too many entries, never too few.
    const std::uint32_t entries = one_piece ? 1 : 2;
    const auto asked = memory::load_once<std::uint16_t>(batch.header(i));
    if (asked == 0 && length >= copy_below_ && lend_plain(data, length, batch.head(i), entries)) [[likely]]
      return ChainOutcome::lent;
    Pieces packet;
    packet.add({data, length});
    return take_packet(packet, batch.head(i), entries, asked, batch.header(i));
  }

  /// Lends a packet in one piece without offload requests. False: it cannot be lent this way, and nothing has changed.
  [[gnu::always_inline]] bool lend_plain(std::uint8_t* data, std::uint32_t length, std::uint16_t head,
                                         std::uint32_t entries) noexcept {
    const auto [iova, size] = dma_->find(data, length);
    if (!attaches_ || size != length) [[unlikely]]
      return false;
    Loan* const loan = lending_.table.take_uncounted(lending_.pin, head, entries, now_);
    if (loan == nullptr) [[unlikely]]
      return false;
    this->template_.apply_external(this->packets_[this->done_], data, iova, static_cast<std::uint16_t>(length),
                                   &loan->shared);
    ++lent_;
    this->bytes_ += length;
    return true;
  }

  /// Walks the whole chain before anything is done with it. A chain with too many pieces is copied.
  [[gnu::noinline]] ChainOutcome take_any(std::uint16_t i) noexcept {
    auto walker = this->walker(i);
    PrivateHeader header{};
    std::size_t header_have = 0;
    Pieces packet;
    HostSpan span;
    for (;;) {
      const auto step = walker.next(span);
      if (step == virtqueue::ChainWalker::Step::invalid) return this->break_ring(walker);
      if (step == virtqueue::ChainWalker::Step::end) break;
      Base::take_header(header, header_have, span);
      if (span.size > net::packet_bytes_max - packet.bytes) return this->drop(VringCounter::drop_too_large);
      if (span.size != 0 && !packet.add(span)) return copy_long_chain(walker, packet, span, header);
    }
    if (header_have != net_header_bytes || packet.bytes < net::ethernet_header_bytes)
      return this->drop(VringCounter::drop_short_chain);
    const auto asked = memory::load_once<std::uint16_t>(header.data());
    const ChainOutcome outcome = take_packet(packet, this->batch_.head(i), walker.ring_entries(), asked, header.data());
    return outcome == ChainOutcome::lent ? ChainOutcome::walked : outcome;
  }

  /// `header` is the guest's or our own copy. Its first two bytes were read already, into `asked`.
  ChainOutcome take_packet(const Pieces& packet, std::uint16_t head, std::uint32_t entries, std::uint16_t asked,
                           const std::uint8_t* header) noexcept {
    rte_mbuf* const mbuf = this->packets_[this->done_];
    this->template_.apply(mbuf, 0);
    net::VirtioNetHeader requested;
    bool checksum_open = false;
    if (asked != 0) [[unlikely]] {
      requested = Base::load_header(asked, header);
      net::GuestOffload offload;
      if (!net::check_guest_offload(requested, this->context_.features, copy_head(packet), offload))
        return this->drop(VringCounter::drop_bad_header);
      net::describe_guest_offload(offload, mbuf);
      checksum_open = offload.complete_checksum;
    }
    if (packet.bytes < copy_below_) return copy(packet, requested);
    Segments segments;
    if (checksum_open || !attaches_ || !is_worth_lending(packet) || !segments.add(*dma_, packet))
      return count_large(VringCounter::copied_shape, copy(packet, requested));
    Loan* const loan = lending_.table.take_uncounted(lending_.pin, head, entries, now_);
    if (loan == nullptr) return count_large(VringCounter::copied_full, copy(packet, requested));
    if (!segments.attach(mbuf, this->pool_, *loan, true)) {
      lending_.table.cancel_uncounted(*loan);
      return this->stall();
    }
    ++lent_;
    this->bytes_ += packet.bytes;
    return ChainOutcome::lent;
  }

  /// Whether the pieces are large enough: each takes an mbuf, and a hostile guest could drain the pool.
  bool is_worth_lending(const Pieces& packet) const noexcept { return packet.bytes / packet.count >= copy_below_; }

  ChainOutcome copy(const Pieces& packet, const net::VirtioNetHeader& requested) noexcept {
    rte_mbuf* const mbuf = this->packets_[this->done_];
    this->template_.apply(mbuf, 0);
    net::MbufWriter writer(this->pool_, mbuf);
    ChainOutcome outcome = append(writer, packet) ? ChainOutcome::copied : this->stall();
    if (outcome == ChainOutcome::copied && net::asks_offload(requested) && !this->offload(mbuf, requested))
      outcome = ChainOutcome::dropped;
    if (outcome == ChainOutcome::copied)
      this->bytes_ += packet.bytes;
    else
      writer.discard();
    return outcome;
  }

  static bool append(net::MbufWriter& writer, const Pieces& packet) noexcept {
    return std::all_of(packet.begin(), packet.end(), [&writer](const HostSpan& span) { return writer.append(span); });
  }

  /// Copies the pieces so far, `next`, and the rest of the chain.
  ChainOutcome copy_long_chain(virtqueue::ChainWalker& walker, const Pieces& packet, HostSpan next,
                               PrivateHeader& header) noexcept {
    rte_mbuf* const mbuf = this->packets_[this->done_];
    this->template_.apply(mbuf, 0);
    net::MbufWriter writer(this->pool_, mbuf);
    ChainOutcome outcome = append(writer, packet) && writer.append(next)
                               ? this->copy_chain(walker, writer, mbuf, header, net_header_bytes)
                               : this->stall();
    if (outcome == ChainOutcome::copied) outcome = this->finish_copy(mbuf, header);
    if (outcome != ChainOutcome::copied) writer.discard();
    return count_large(VringCounter::copied_shape, outcome);
  }

  ChainOutcome count_large(VringCounter cause, ChainOutcome outcome) noexcept {
    if (outcome != ChainOutcome::copied) return outcome;
    this->context_.counters.add(cause, 1);
    ++copied_large_;
    return outcome;
  }

  const Lending lending_;
  const DmaMemory* dma_ = nullptr;
  const std::uint32_t copy_below_;
  std::uint64_t now_ = 0;  // 0: not prepared
  bool attaches_ = false;
  std::uint32_t lent_ = 0;
  std::uint64_t copied_large_ = 0;
};

// A function of its own, as in net/, so that a single packet does not set up what a batch needs.
template <std::uint16_t net_header_bytes>
[[gnu::noinline]] net::BurstResult run(const net::RingContext& context, SplitQueue& queue, const Lending& lending,
                                       rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  return Lender<net_header_bytes>(context, queue, pool, packets, lending).run(count);
}

template <std::uint16_t net_header_bytes>
[[gnu::always_inline]] inline net::BurstResult take(const net::RingContext& context, SplitQueue& queue,
                                                    const Lending& lending, rte_mempool* pool, rte_mbuf** packets,
                                                    std::uint16_t count) noexcept {
  if (std::min(count, queue.ready()) == 1 && lending.table.copy_below() != 0) {
    const auto single =
        net::dequeue_single<net_header_bytes>(context, queue, pool, packets, lending.table.copy_below() - 1);
    if (single.packets != 0) {
      context.counters.add(VringCounter::copied_small, 1);
      return single;
    }
  }
  return run<net_header_bytes>(context, queue, lending, pool, packets, count);
}

}  // namespace

net::BurstResult dequeue(const net::RingContext& context, const Lending& lending, rte_mempool* pool, rte_mbuf** packets,
                         std::uint16_t count) noexcept {
  SplitQueue queue(context.layout, context.cursor);
  if (lending.table.has_returns()) [[unlikely]]
    return_chains(queue, lending.table);
  else if (queue.ready() == 0)
    return {};  // idle
  if (net::header_length(context.features) == net::header_length_full)
    return take<net::header_length_full>(context, queue, lending, pool, packets, count);
  return take<net::header_length_legacy>(context, queue, lending, pool, packets, count);
}

net::BurstResult return_transmitted(const net::RingContext& context, LoanTable& table) noexcept {
  SplitQueue queue(context.layout, context.cursor);
  net::BurstResult result;
  result.packets = static_cast<std::uint16_t>(table.collect([&queue](std::uint16_t head) { queue.add_used(head, 0); }));
  if (queue.publish()) result.needs_call = queue.needs_call();
  return result;
}

}  // namespace vhostx::zerocopy
