// SPDX-License-Identifier: BSD-3-Clause
#include "net/enqueue.hpp"

#include <cstddef>

#include <rte_mbuf.h>

#include "net/copy.hpp"
#include "net/enqueuer.hpp"
#include "net/offload_to_guest.hpp"

namespace vhostx::net {
namespace {

/// Packets in the application's mbufs.
struct MbufSource {
  using Packets = rte_mbuf* const*;

  static const rte_mbuf& at(Packets packets, std::size_t i) noexcept { return *packets[i]; }
  static bool is_plain(const rte_mbuf& packet, std::uint32_t length_max) noexcept {
    return !may_need_offload(packet.ol_flags) && packet.nb_segs == 1 && packet.data_len <= length_max;
  }
  static std::uint32_t length(const rte_mbuf& packet) noexcept { return packet.data_len; }
  static std::uint64_t flags(const rte_mbuf& packet) noexcept { return packet.ol_flags; }
  template <typename BeforeLongCopy>
  [[gnu::always_inline]] static void copy(const rte_mbuf& packet, std::uint8_t* to, std::uint32_t bytes,
                                          BeforeLongCopy before_long_copy) noexcept {
    copy_packet(to, rte_pktmbuf_mtod(&packet, const std::uint8_t*), bytes, before_long_copy);
  }
  static void copy(const rte_mbuf& packet, std::uint8_t* to, std::uint32_t bytes) noexcept {
    copy_packet(to, rte_pktmbuf_mtod(&packet, const std::uint8_t*), bytes);
  }
  static void prefetch_rest(Packets, std::size_t) noexcept {}  // the application has just had it
  static const rte_mbuf& whole(Packets packets, std::size_t i, std::uint64_t) noexcept { return *packets[i]; }
  static void count(RingCounters&, std::uint64_t) noexcept {}
};

}  // namespace

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
