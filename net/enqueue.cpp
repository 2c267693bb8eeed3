// SPDX-License-Identifier: BSD-3-Clause
#include "net/enqueue.hpp"

#include "net/enqueuer.hpp"
#include "net/mbuf_source.hpp"
#include "net/unit_context.hpp"

namespace vhostx::net {

template <Context C>
BurstResult enqueue(const C& context, rte_mbuf* const* packets, std::uint16_t count) noexcept {
  return enqueue_from<MbufSource>(context, packets, count);
}

template <Context C>
BurstResult enqueue(const C& context, rte_mbuf* const* packets, std::uint16_t count,
                    virtqueue::WalkBudget& budget) noexcept {
  return with_queue(context, [&]<typename Queue>(Queue& queue) {
    return with_header(context, [&](auto net_header_bytes) {
      return Enqueuer<Queue, net_header_bytes, MbufSource>(context, queue, budget).run(packets, count);
    });
  });
}

template BurstResult enqueue(const UnitContext&, rte_mbuf* const*, std::uint16_t) noexcept;
template BurstResult enqueue(const Logged<UnitContext>&, rte_mbuf* const*, std::uint16_t) noexcept;
template BurstResult enqueue(const UnitContext&, rte_mbuf* const*, std::uint16_t, virtqueue::WalkBudget&) noexcept;
template BurstResult enqueue(const Logged<UnitContext>&, rte_mbuf* const*, std::uint16_t,
                             virtqueue::WalkBudget&) noexcept;

}  // namespace vhostx::net
