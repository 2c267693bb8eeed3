// SPDX-License-Identifier: BSD-3-Clause
// DequeueBurst: one burst from a guest, whatever a ChainTaker makes of each packet.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

#include "memory/load_once.hpp"
#include "net/copy.hpp"
#include "net/header_reader.hpp"
#include "net/mbuf_fill.hpp"
#include "net/offload_from_guest.hpp"
#include "net/ring_context.hpp"
#include "net/virtio_net_header.hpp"

namespace vhostx::net {

/// The next packet, if it is a common one of at most `payload_max` bytes without offload requests; else 0 packets, and
/// nothing was touched. queue.ready(1) must not be 0.
template <std::uint16_t net_header_bytes, virtqueue::Virtqueue Queue>
[[gnu::always_inline]] inline BurstResult dequeue_single(const RingContext& context, Queue& queue, rte_mempool* pool,
                                                         rte_mbuf** packet, std::uint32_t payload_max) noexcept {
  typename Queue::template Single<FromGuest<net_header_bytes>> found;
  const MbufTemplate fresh(pool);
  if (!found.find(queue, context.cursor.hint, std::min(fresh.room(), payload_max)) ||
      memory::load_once<std::uint16_t>(found.header()) != 0 ||
      rte_mempool_get(pool, reinterpret_cast<void**>(packet)) != 0) [[unlikely]]
    return {};
  const std::uint32_t length = found.length();
  rte_mbuf* const mbuf = *packet;
  fresh.apply(mbuf, length);
  copy_packet(fresh.data(mbuf), found.body(), length);
  queue.use(found.chain(), 0);
  count_burst(context.counters, 1, length);
  return {.packets = 1, .needs_call = queue.needs_call()};
}

/// What became of a packet's chain.
enum class ChainOutcome {
  copied,
  lent,     // delivered, and the chain stays out
  walked,   // the same, after a ChainWalker
  dropped,  // counted; the chain goes back to the driver
  stalled,  // no mbufs: the chain stays in the ring
  broken,
};

/// What becomes of the chains of a burst. `into` is the burst's DequeueBurst.
template <typename T, typename Burst>
concept ChainTaker = requires(T taker, Burst& into, std::uint16_t i) {
  // Fills into.batch with the next chains; returns how many may be used.
  { taker.load(into, i) } -> std::same_as<std::uint16_t>;
  // Chains from one on and before another by take_run(), as far as that goes; returns where it ended.
  { taker.take_straight(into, i, i) } -> std::same_as<std::uint16_t>;
  // One chain, into the packet into.next().
  { taker.take_chain(into, i) } -> std::same_as<ChainOutcome>;
};

/// One burst: its state, and what all takers do with a chain. `net_header_bytes` is fixed per negotiation, so that the
/// common packet runs straight.
template <virtqueue::Virtqueue Queue, std::uint16_t net_header_bytes>
struct DequeueBurst {
  using Walker = typename Queue::template Walker<virtqueue::Direction::readable>;
  using Header = HeaderReader<net_header_bytes>;

  DequeueBurst(const RingContext& in, Queue& from, rte_mempool* mbufs, rte_mbuf** into) noexcept
      : context(in), queue(from), pool(mbufs), fresh(mbufs), packets(into) {}

  template <ChainTaker<DequeueBurst> Taker>
  BurstResult run(Taker& taker, std::uint16_t count) noexcept {
    while (done < count && !stalled && !queue.broken()) {
      const auto wanted = std::min<std::uint16_t>(static_cast<std::uint16_t>(count - done), batch_max);
      const std::uint16_t chains = std::min(wanted, queue.ready(wanted));
      if (chains == 0) break;
      run_batch(taker, chains);
    }
    const BurstResult result = publish(queue, done);
    if (done != 0) count_burst(context.counters, done, bytes);
    return result;
  }

  /// The mbuf for the packet that is being taken.
  rte_mbuf* next() const noexcept { return packets[done]; }

  /// Chains from `begin` on that are simple, all in one piece if the template argument says so. Ends before the first
  /// that is not.
  template <bool one_piece>
  [[gnu::always_inline]] std::uint16_t take_run(std::uint16_t begin, std::uint16_t end) noexcept {
    const MbufTemplate mbufs = fresh;  // a local copy: the stores below cannot change it
    rte_mbuf** into = packets + done;
    std::uint64_t copied = 0;
    std::uint32_t i = begin;
    for (; i < end; ++i) {
      const std::uint32_t length = batch.length(i);
      if (!one_piece && !batch.is_simple(i)) break;
      rte_mbuf* const mbuf = *into;
      mbufs.apply(mbuf, length);
      const auto asked = memory::load_once<std::uint16_t>(batch.header(i));
      copy_packet(mbufs.data(mbuf), batch.template body<one_piece>(i), length, [&] {
        if (i + 1 < end) batch.template prefetch_body<one_piece>(i + 1, length);
      });
      if (asked != 0) [[unlikely]]
        if (!offload(mbuf, asked, batch.header(i))) continue;
      copied += length;
      ++into;
    }
    bytes += copied;
    queue.give_back(batch.chains(), begin, static_cast<std::uint16_t>(i - begin), [](std::size_t) { return 0U; });
    done = static_cast<std::uint16_t>(into - packets);
    return static_cast<std::uint16_t>(i);
  }

  Walker walk(std::uint16_t i) noexcept {
    budget.count_chain();
    return queue.template walk<virtqueue::Direction::readable>(queue.chain(batch.chains(), i), context.memory,
                                                               context.cursor.hint);
  }

  /// Copies what is left of a chain; `mbuf` is the writer's first.
  ChainOutcome copy_chain(Walker& walker, MbufWriter& writer, rte_mbuf* mbuf, Header& header) noexcept {
    memory::HostSpan span;
    for (;;) {
      const auto step = walker.next(span);
      if (step == Walker::Step::invalid) return break_ring(walker);
      if (step == Walker::Step::end)
        return header.is_whole() ? finish_copy(mbuf, header.header()) : drop(VringCounter::drop_short_chain);
      header.take(span);
      if (span.size > packet_bytes_max - mbuf->pkt_len || walker.is_scattered())
        return drop(VringCounter::drop_too_large);
      if (!writer.append(span)) return stall();
    }
  }

  /// False: the header is invalid, and the packet is dropped.
  [[gnu::noinline]] bool offload(rte_mbuf* mbuf, std::uint16_t asked, const std::uint8_t* header) noexcept {
    return offload(mbuf, load_header(asked, header));
  }
  bool offload(rte_mbuf* mbuf, const VirtioNetHeader& header) noexcept {
    if (apply_guest_offload(header, context.features, mbuf)) return true;
    context.counters.add(VringCounter::drop_bad_header, 1);
    context.cursor.meter.count_dropped(mbuf->pkt_len);
    if (budget.is_spent()) stalled = true;
    return false;
  }

  ChainOutcome drop(VringCounter cause) noexcept {
    context.counters.add(cause, 1);
    context.cursor.meter.count_dropped(0);
    return ChainOutcome::dropped;
  }
  [[gnu::noinline]] ChainOutcome stall() noexcept {
    stalled = true;
    context.counters.add(VringCounter::stall_no_mbuf, 1);
    return ChainOutcome::stalled;
  }
  ChainOutcome break_ring(const Walker& walker) noexcept {
    queue.fail(walker.fault());
    return ChainOutcome::broken;
  }

  const RingContext& context;
  Queue& queue;
  rte_mempool* const pool;
  const MbufTemplate fresh;
  rte_mbuf** const packets;
  std::uint64_t bytes = 0;
  std::uint16_t done = 0;
  bool stalled = false;  // the burst ends here
  virtqueue::WalkBudget budget{context.cursor.meter};
  typename Queue::template Batch<FromGuest<net_header_bytes>> batch;

 private:
  ChainOutcome finish_copy(rte_mbuf* mbuf, const VirtioNetHeader& header) noexcept {
    if (mbuf->pkt_len < ethernet_header_bytes) return drop(VringCounter::drop_short_chain);
    if (asks_offload(header) && !offload(mbuf, header)) return ChainOutcome::dropped;
    bytes += mbuf->pkt_len;
    return ChainOutcome::copied;
  }

  /// Mbufs for the whole batch at once; fewer when the pool runs low.
  [[gnu::always_inline]] std::uint16_t allocate(std::uint16_t wanted) noexcept {
    for (; wanted != 0; wanted /= 2)
      if (rte_mempool_get_bulk(pool, reinterpret_cast<void**>(packets + done), wanted) == 0) return wanted;
    stall();
    return 0;
  }

  template <typename Taker>
  [[gnu::always_inline]] void run_batch(Taker& taker, std::uint16_t chains) noexcept {
    chains = allocate(chains);
    const std::uint16_t end = static_cast<std::uint16_t>(done + chains);
    const std::uint16_t good = taker.load(*this, chains);
    std::uint16_t taken = taker.take_straight(*this, 0, good);
    while (taken != good) {
      const ChainOutcome outcome = taker.take_chain(*this, taken);
      if (outcome >= ChainOutcome::stalled) break;
      if (outcome != ChainOutcome::dropped) ++done;
      if (outcome == ChainOutcome::lent) [[likely]] {
        queue.keep(1);
      } else if (is_over(taken, outcome)) {
        ++taken;
        break;
      }
      ++taken;
      taken = taker.take_straight(*this, taken, good);
    }
    queue.take(batch.chains(), taken);
    if (Queue::has_bad_chains && taken == good && good != chains) skip_bad_chain(batch.id(good));
    if (done != end)
      rte_mempool_put_bulk(pool, reinterpret_cast<void**>(packets + done), static_cast<unsigned>(end - done));
  }

  /// After chain `i`, which was walked or not lent: whether the burst is over.
  bool is_over(std::uint16_t i, ChainOutcome outcome) noexcept {
    if (outcome == ChainOutcome::walked)
      queue.keep(1);
    else
      queue.give_back(batch.chains(), i, 1, [](std::size_t) { return 0U; });
    if (!budget.is_spent()) return false;
    stalled = true;
    if (done == 0) judge_walk(context, queue, budget, batch.id(i));
    return true;
  }

  [[gnu::noinline]] void skip_bad_chain(std::uint16_t id) noexcept {
    context.counters.add(VringCounter::drop_bad_head, 1);
    queue.skip_bad_chain(id);
  }
};

}  // namespace vhostx::net
