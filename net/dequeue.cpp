// SPDX-License-Identifier: BSD-3-Clause
#include "net/dequeue.hpp"

#include <algorithm>

#include "net/dequeuer.hpp"

namespace vhostx::net {
namespace {

using virtqueue::SplitQueue;

/// Copies every packet.
template <std::uint16_t net_header_bytes>
class Copier : public Dequeuer<net_header_bytes, Copier<net_header_bytes>> {
 public:
  using Base = Dequeuer<net_header_bytes, Copier<net_header_bytes>>;
  using Base::Base;

 private:
  friend Base;

  [[gnu::always_inline]] std::uint16_t load(std::uint16_t batch) noexcept {
    return this->batch_.load(this->queue_, this->context_, batch, this->template_.room(), this->context_.cursor.hint);
  }

  [[gnu::always_inline]] std::uint16_t take_straight(std::uint16_t begin, std::uint16_t batch) noexcept {
    return this->batch_.one_piece() ? this->template take_run<true>(begin, batch)
                                    : this->template take_run<false>(begin, batch);
  }

  [[gnu::noinline]] ChainOutcome take_chain(std::uint16_t i) noexcept {
    rte_mbuf* const mbuf = this->packets_[this->done_];
    this->template_.apply(mbuf, 0);
    MbufWriter writer(this->pool_, mbuf);
    auto walker = this->walker(i);
    typename Base::PrivateHeader header{};
    ChainOutcome outcome = this->copy_chain(walker, writer, mbuf, header, 0);
    if (outcome == ChainOutcome::copied) outcome = this->finish_copy(mbuf, header);
    if (outcome != ChainOutcome::copied) writer.discard();
    return outcome;
  }
};

// A function of its own, so that an idle poll does not set up what a burst needs.
template <std::uint16_t net_header_bytes>
[[gnu::noinline]] BurstResult run(const RingContext& context, SplitQueue& queue, rte_mempool* pool, rte_mbuf** packets,
                                  std::uint16_t count) noexcept {
  return Copier<net_header_bytes>(context, queue, pool, packets).run(count);
}

template <std::uint16_t net_header_bytes>
[[gnu::always_inline]] inline BurstResult take(const RingContext& context, SplitQueue& queue, rte_mempool* pool,
                                               rte_mbuf** packets, std::uint16_t count) noexcept {
  if (std::min(count, queue.ready()) == 1) {
    const BurstResult single = dequeue_single<net_header_bytes>(context, queue, pool, packets, packet_bytes_max);
    if (single.packets != 0) [[likely]]
      return single;
  }
  return run<net_header_bytes>(context, queue, pool, packets, count);
}

}  // namespace

BurstResult dequeue(const RingContext& context, rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  SplitQueue queue(context.layout, context.cursor);
  if (queue.ready() == 0) return {};  // idle, the cheapest case
  if (header_length(context.features) == header_length_full)
    return take<header_length_full>(context, queue, pool, packets, count);
  return take<header_length_legacy>(context, queue, pool, packets, count);
}

BurstResult drop_available(const RingContext& context) noexcept {
  SplitQueue queue(context.layout, context.cursor);
  std::uint64_t dropped = 0;
  for (std::uint16_t head = 0; queue.pop(head) == virtqueue::Pop::chain; ++dropped) queue.add_used(head, 0);
  context.counters.add(VringCounter::drop_disabled, dropped);
  context.counters.add(VringCounter::drop_bad_head, queue.bad_heads_skipped());
  BurstResult result;
  if (queue.publish()) result.needs_call = queue.needs_call();
  return result;
}

}  // namespace vhostx::net
