// SPDX-License-Identifier: BSD-3-Clause
#include "net/dequeue.hpp"

#include <algorithm>

#include "net/copier.hpp"
#include "net/unit_context.hpp"

namespace vhostx::net {
namespace {

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
  if (std::min(count, queue.ready(count)) == 1) {
    const BurstResult single = dequeue_single<net_header_bytes>(context, queue, pool, packets, packet_bytes_max);
    if (single.packets != 0) [[likely]]
      return single;
  }
  return run<net_header_bytes>(context, queue, pool, packets, count);
}

}  // namespace

template <Context C>
BurstResult dequeue(const C& context, rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  return with_queue(context, [&](auto& queue) {
    if (queue.is_empty()) return BurstResult{};  // idle, the cheapest case
    return with_header(
        context, [&](auto net_header_bytes) { return take<net_header_bytes>(context, queue, pool, packets, count); });
  });
}

template <Context C>
BurstResult drop_available(const C& context) noexcept {
  return with_queue(context, [&](auto& queue) {
    context.counters.add(VringCounter::drop_disabled, queue.give_back_all());
    context.counters.add(VringCounter::drop_bad_head, queue.bad_chains());
    return publish(queue);
  });
}

template BurstResult dequeue(const UnitContext&, rte_mempool*, rte_mbuf**, std::uint16_t) noexcept;
template BurstResult dequeue(const Logged<UnitContext>&, rte_mempool*, rte_mbuf**, std::uint16_t) noexcept;
template BurstResult drop_available(const UnitContext&) noexcept;
template BurstResult drop_available(const Logged<UnitContext>&) noexcept;

}  // namespace vhostx::net
