// SPDX-License-Identifier: BSD-3-Clause
#include "zerocopy/borrow.hpp"

#include <algorithm>
#include <cstddef>

#include <rte_mbuf.h>

#include "net/enqueue.hpp"
#include "net/unit_context.hpp"
#include "zerocopy/borrower.hpp"

namespace vhostx::zerocopy {
using virtqueue::Chain;

template <net::Context C>
net::BurstResult borrow(const C& context, const Lending& lending, rte_mempool* pool, rte_mbuf** buffers,
                        std::uint16_t count) noexcept {
  keep_returned(lending.table);
  if (!can_attach(pool)) return {};
  return net::with_queue(context, [&](auto& queue) {
    net::BurstResult result;
    Borrower borrower(context, queue, lending, pool);
    while (result.packets < count && !queue.broken() && (buffers[result.packets] = borrower.next()) != nullptr)
      ++result.packets;
    if (result.packets == 0) borrower.judge();
    queue.publish();  // publishes nothing: it stores the position
    queue.publish_position();
    if (queue.bad_chains() != 0) context.counters.add(VringCounter::drop_bad_head, queue.bad_chains());
    return result;
  });
}

namespace {

/// Delivers packets in place, up to the first that cannot be. Returns how many.
template <net::Context C>
net::BurstResult deliver(const C& context, const Lending& lending, rte_mbuf** packets, std::uint16_t count) noexcept {
  return net::with_queue(context, [&](auto& queue) {
    Committer committer(context, queue, lending);
    std::uint16_t done = 0;
    while (done < count && committer.deliver_in_place(packets[done])) ++done;
    const auto result = net::publish(queue, done);
    if (committer.packets() != 0) {
      net::count_burst(context.counters, committer.packets(), committer.bytes());
      context.counters.add(VringCounter::lent, committer.packets());
    }
    return result;
  });
}

}  // namespace

template <net::Context C>
net::BurstResult commit(const C& context, const Lending& lending, rte_mbuf** packets, std::uint16_t count) noexcept {
  net::BurstResult result;
  virtqueue::WalkBudget budget(context.cursor.meter);
  while (result.packets < count && !budget.is_spent()) {
    const auto delivered =
        deliver(context, lending, packets + result.packets, static_cast<std::uint16_t>(count - result.packets));
    result.packets = static_cast<std::uint16_t>(result.packets + delivered.packets);
    result.needs_call |= delivered.needs_call;
    if (result.packets == count) break;
    // Anything else is copied into other buffers, as by net::enqueue(). Its own buffers are spare then.
    const std::uint64_t before = context.counters.value(VringCounter::packets);
    const auto copied = net::enqueue(context, packets + result.packets, 1, budget);
    result.needs_call |= copied.needs_call;
    if (copied.packets == 0) {
      result.needs_call |= return_spares(context, lending.table).needs_call;
      break;
    }
    if (context.counters.value(VringCounter::packets) != before) context.counters.add(VringCounter::copied_shape, 1);
    rte_pktmbuf_free(packets[result.packets++]);
  }
  if (budget.is_spent()) context.cursor.enqueue_end = EnqueueEnd::budget;
  return result;
}

#ifndef VHOSTX_PACKED_UNIT
std::uint32_t keep_returned(LoanTable& table) noexcept {
  if (!table.has_returns()) return 0;
  return table.collect([&table](const Chain& chain) { table.keep_spare(chain); });
}
#endif

template <net::Context C>
net::BurstResult keep_returned(const C& context, LoanTable& table) noexcept {
  const std::uint32_t back = keep_returned(table);
  net::BurstResult result;
  if (virtqueue::is_idle(context.layout, context.cursor)) result = return_spares(context, table);
  result.packets = static_cast<std::uint16_t>(back);
  return result;
}

namespace {

// Into buffers that come back empty the application may have written all the same: as much as borrow() lends of a
// chain.
void mark_all(const net::RingContext&, const auto&, const Chain&) noexcept {}
template <typename Base>
void mark_all(const net::Logged<Base>& context, const auto& queue, const Chain& chain) noexcept {
  auto walker = queue.template walk<virtqueue::Direction::writable>(chain, context.memory, context.cursor.hint);
  memory::WritableSpan piece;
  std::size_t left = net::packet_bytes_max + net::header_length(context.features);
  for (std::uint32_t i = 0; i <= lent_pieces_max && walker.next(piece) == decltype(walker)::Step::buffer; ++i) {
    const std::size_t part = std::min(piece.size(), left);
    queue.write(piece.first(part), [](std::uint8_t*) {});
    left -= part;
  }
}

}  // namespace

template <net::Context C>
net::BurstResult return_spares(const C& context, LoanTable& table) noexcept {
  keep_returned(table);
  return net::with_queue(context, [&](auto& queue) {
    // A guest that has made its chains long meanwhile does not get all of them marked: it alone would read them.
    const virtqueue::WalkBudget budget(context.cursor.meter);
    for (Chain chain; table.take_spare(chain);) {
      if (budget.has_descriptors()) mark_all(context, queue, chain);
      queue.give_back_kept(chain, 0);
    }
    return net::publish(queue);
  });
}

template net::BurstResult borrow(const net::UnitContext&, const Lending&, rte_mempool*, rte_mbuf**,
                                 std::uint16_t) noexcept;
template net::BurstResult borrow(const net::Logged<net::UnitContext>&, const Lending&, rte_mempool*, rte_mbuf**,
                                 std::uint16_t) noexcept;
template net::BurstResult commit(const net::UnitContext&, const Lending&, rte_mbuf**, std::uint16_t) noexcept;
template net::BurstResult commit(const net::Logged<net::UnitContext>&, const Lending&, rte_mbuf**,
                                 std::uint16_t) noexcept;
template net::BurstResult keep_returned(const net::UnitContext&, LoanTable&) noexcept;
template net::BurstResult keep_returned(const net::Logged<net::UnitContext>&, LoanTable&) noexcept;
template net::BurstResult return_spares(const net::UnitContext&, LoanTable&) noexcept;
template net::BurstResult return_spares(const net::Logged<net::UnitContext>&, LoanTable&) noexcept;

}  // namespace vhostx::zerocopy
