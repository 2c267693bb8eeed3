// SPDX-License-Identifier: BSD-3-Clause
#include "zerocopy/dequeue.hpp"

#include <algorithm>

#include "net/unit_context.hpp"
#include "zerocopy/lender.hpp"

namespace vhostx::zerocopy {
namespace {

template <virtqueue::Virtqueue Queue>
[[gnu::noinline]] std::uint32_t return_chains(Queue& queue, LoanTable& table) noexcept {
  return table.collect([&queue](const virtqueue::Chain& chain) { queue.give_back_kept(chain, 0); });
}

// A function of its own, as in net/, so that a single packet does not set up what a batch needs.
template <std::uint16_t net_header_bytes, virtqueue::Virtqueue Queue>
[[gnu::noinline]] net::BurstResult run(const net::RingContext& context, Queue& queue, const Lending& lending,
                                       rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  return Lender<Queue, net_header_bytes>(context, queue, pool, packets, lending).run(count);
}

template <std::uint16_t net_header_bytes, virtqueue::Virtqueue Queue>
[[gnu::always_inline]] inline net::BurstResult take(const net::RingContext& context, Queue& queue,
                                                    const Lending& lending, rte_mempool* pool, rte_mbuf** packets,
                                                    std::uint16_t count) noexcept {
  if (std::min(count, queue.ready(count)) == 1 && lending.table.copy_below() != 0) {
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

template <net::Context C>
net::BurstResult dequeue(const C& context, const Lending& lending, rte_mempool* pool, rte_mbuf** packets,
                         std::uint16_t count) noexcept {
  return net::with_queue(context, [&](auto& queue) {
    if (lending.table.has_returns()) [[unlikely]]
      return_chains(queue, lending.table);
    else if (queue.is_empty())
      return net::BurstResult{};  // idle
    return net::with_header(context, [&](auto net_header_bytes) {
      return take<net_header_bytes>(context, queue, lending, pool, packets, count);
    });
  });
}

template <net::Context C>
net::BurstResult return_transmitted(const C& context, LoanTable& table) noexcept {
  return net::with_queue(context, [&](auto& queue) {
    return net::publish(queue, static_cast<std::uint16_t>(return_chains(queue, table)));
  });
}

template <net::Context C>
net::BurstResult take_back(const C& context, LoanTable& table) noexcept {
  return net::with_queue(context, [&](auto& queue) {
    const std::uint32_t out = table.close([&](const virtqueue::Chain& chain) { queue.give_back_kept(chain, 0); });
    return net::publish(queue, static_cast<std::uint16_t>(out));
  });
}

template net::BurstResult dequeue(const net::UnitContext&, const Lending&, rte_mempool*, rte_mbuf**,
                                  std::uint16_t) noexcept;
template net::BurstResult dequeue(const net::Logged<net::UnitContext>&, const Lending&, rte_mempool*, rte_mbuf**,
                                  std::uint16_t) noexcept;
template net::BurstResult return_transmitted(const net::UnitContext&, LoanTable&) noexcept;
template net::BurstResult return_transmitted(const net::Logged<net::UnitContext>&, LoanTable&) noexcept;
template net::BurstResult take_back(const net::UnitContext&, LoanTable&) noexcept;
template net::BurstResult take_back(const net::Logged<net::UnitContext>&, LoanTable&) noexcept;

}  // namespace vhostx::zerocopy
