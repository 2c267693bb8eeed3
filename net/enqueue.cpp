// SPDX-License-Identifier: BSD-3-Clause
#include "net/enqueue.hpp"

#include "net/enqueuer.hpp"
#include "net/mbuf_source.hpp"

namespace vhostx::net {
BurstResult enqueue(const RingContext& context, rte_mbuf* const* packets, std::uint16_t count) noexcept {
  return enqueue_from<MbufSource>(context, packets, count);
}

BurstResult enqueue(const RingContext& context, rte_mbuf* const* packets, std::uint16_t count,
                    virtqueue::WalkBudget& budget) noexcept {
  return with_queue(context, [&]<typename Queue>(Queue& queue) {
    return with_header(context, [&](auto net_header_bytes) {
      return Enqueuer<Queue, net_header_bytes, MbufSource>(context, queue, budget).run(packets, count);
    });
  });
}

}  // namespace vhostx::net
