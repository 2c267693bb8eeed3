// SPDX-License-Identifier: BSD-3-Clause
#include "net/dequeue.hpp"

#include <algorithm>

#include "net/dequeuer.hpp"

namespace vhostx::net {
namespace {

/// Copies every packet.
struct Copier {
  template <typename Burst>
  [[gnu::always_inline]] std::uint16_t load(Burst& burst, std::uint16_t chains) noexcept {
    return burst.batch.load(burst.queue, burst.context.memory, chains, burst.fresh.room(), burst.context.cursor.hint);
  }

  template <typename Burst>
  [[gnu::always_inline]] std::uint16_t take_straight(Burst& burst, std::uint16_t begin, std::uint16_t end) noexcept {
    return burst.batch.one_piece() ? burst.template take_run<true>(begin, end)
                                   : burst.template take_run<false>(begin, end);
  }

  template <typename Burst>
  [[gnu::noinline]] ChainOutcome take_chain(Burst& burst, std::uint16_t i) noexcept {
    rte_mbuf* const mbuf = burst.next();
    burst.fresh.apply(mbuf, 0);
    MbufWriter writer(burst.pool, mbuf);
    auto walker = burst.walk(i);
    typename Burst::PrivateHeader header{};
    ChainOutcome outcome = burst.copy_chain(walker, writer, mbuf, header, 0);
    if (outcome == ChainOutcome::copied) outcome = burst.finish_copy(mbuf, header);
    if (outcome != ChainOutcome::copied) writer.discard();
    return outcome;
  }
};

// A function of its own, so that an idle poll does not set up what a burst needs.
template <std::uint16_t net_header_bytes, virtqueue::Virtqueue Queue>
[[gnu::noinline]] BurstResult run(const RingContext& context, Queue& queue, rte_mempool* pool, rte_mbuf** packets,
                                  std::uint16_t count) noexcept {
  Copier copier;
  return DequeueBurst<Queue, net_header_bytes>(context, queue, pool, packets).run(copier, count);
}

template <std::uint16_t net_header_bytes, virtqueue::Virtqueue Queue>
[[gnu::always_inline]] inline BurstResult take(const RingContext& context, Queue& queue, rte_mempool* pool,
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
  return with_queue(context, [&](auto& queue) {
    if (queue.ready() == 0) return BurstResult{};  // idle, the cheapest case
    return with_header(
        context, [&](auto net_header_bytes) { return take<net_header_bytes>(context, queue, pool, packets, count); });
  });
}

BurstResult drop_available(const RingContext& context) noexcept {
  return with_queue(context, [&](auto& queue) {
    std::uint64_t dropped = 0;
    for (virtqueue::Chain chain; queue.take(chain) == virtqueue::Take::chain; ++dropped) queue.give_back(chain, 0);
    context.counters.add(VringCounter::drop_disabled, dropped);
    context.counters.add(VringCounter::drop_bad_head, queue.bad_chains());
    return publish(queue);
  });
}

}  // namespace vhostx::net
