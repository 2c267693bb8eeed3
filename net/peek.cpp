// SPDX-License-Identifier: BSD-3-Clause
#include "net/peek.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <rte_mbuf.h>

#include "memory/load_once.hpp"
#include "net/copy.hpp"
#include "net/header_reader.hpp"
#include "net/mbuf_fill.hpp"
#include "net/offload_from_guest.hpp"
#include "net/packet_headers.hpp"
#include "net/piece_taker.hpp"
#include "net/unit_context.hpp"
#include "net/virtio_net_header.hpp"
#include "virtqueue/prefetch.hpp"

namespace vhostx::net {
namespace {

using memory::HostSpan;
using memory::load_once;

/// Copies the first bytes of a packet without offload requests: packet `number` of the burst.
[[gnu::always_inline]] inline void add_plain(PeekedBurst& burst, std::size_t number, const std::uint8_t* payload,
                                             std::uint32_t length) noexcept {
  std::uint8_t* const head = burst.short_heads[number].bytes;
  PeekedPacket& packet = burst.packets[number];
  packet.length = length;
  burst.rests[number] = payload + peeked_head_bytes;
  if (length < peeked_head_bytes) {
    packet.head_length = static_cast<std::uint16_t>(length);
    copy_packet(head, payload, length);
  } else {
    packet.head_length = peeked_head_bytes;
    // They arrive while the other packets are peeked at. move() prefetches the rest of a large packet.
    const std::uint32_t ahead = std::min(length + virtqueue::cache_line_bytes - 1, prefetch_peeked_max);
    virtqueue::prefetch_rest<virtqueue::Direction::readable>(payload, ahead);
    std::memcpy(head, payload, peeked_head_bytes);
    memory::loaded(payload, peeked_head_bytes);
  }
}

/// Adds chains to a burst until it has packets or the ring has no more. `net_header_bytes` is fixed per negotiation.
template <virtqueue::Virtqueue Queue, std::uint16_t net_header_bytes>
class Peeker {
  using Walker = typename Queue::template Walker<virtqueue::Direction::readable>;
  using Step = typename Walker::Step;

 public:
  Peeker(const RingContext& context, Queue& queue, PeekedBurst& burst) noexcept
      : context_(context), queue_(queue), burst_(burst) {}

  [[gnu::noinline]] BurstResult run(std::uint16_t count) noexcept {
    BurstResult result;
    while (burst_.count == 0 && !queue_.broken()) {
      const std::uint16_t batch = std::min(count, queue_.ready(count));
      if (batch == 0) break;
      run_batch(batch);
      if (burst_.count == 0 && drop_all() == Budget::spent) break;
    }
    result.packets = burst_.count;
    if (moved_on_ && queue_.publish()) result.needs_call = queue_.needs_call();
    return result;
  }

 private:
  enum class Outcome {
    taken,    // a packet more, or a drop
    stopped,  // the chain stays in the ring
  };
  enum class Budget { left, spent };

  void run_batch(std::uint16_t batch) noexcept {
    const std::uint16_t good = batch_.load(queue_, context_.memory, batch, packet_bytes_max, context_.cursor.hint);
    batch_.copy_chains(good, burst_.taken);
    std::uint16_t& chain = burst_.chains;
    chain = 0;
    for (;;) {
      chain = batch_.one_piece() ? peek_run<true>(chain, good) : peek_run<false>(chain, good);
      if (chain == good) break;
      if (peek_chain(chain) == Outcome::stopped) return;
      ++chain;
      if (budget_.is_spent()) return;
    }
    // A bad head is skipped only once all chains before it are returned.
    if (Queue::has_bad_chains && good == 0) skip_bad_chain(batch_.id(0));
  }

  [[gnu::noinline]] void skip_bad_chain(std::uint16_t id) noexcept {
    context_.counters.add(VringCounter::drop_bad_head, 1);
    moved_on_ = true;
    queue_.skip_bad_chain(id);
  }

  /// The straight path, from chain `begin` on; ends before the first that is not simple or asks for something.
  template <bool one_piece>
  [[gnu::always_inline]] std::uint16_t peek_run(std::uint16_t begin, std::uint16_t good) noexcept {
    PeekedBurst& burst = burst_;
    const std::uint32_t dropped = begin - std::uint32_t{burst.count};
    std::uint64_t bytes = 0;
    std::uint16_t asked = 0;
    std::uint32_t i = begin;
    for (; i < good; ++i) {
      if (!one_piece && !batch_.is_simple(i)) break;
      asked = load_once<std::uint16_t>(batch_.header(i));
      if (asked != 0) [[unlikely]]
        break;
      const std::uint32_t length = batch_.length(i);
      add_plain(burst, i - dropped, batch_.template body<one_piece>(i), length);
      bytes += length;
    }
    asked_ = asked;
    burst.bytes += bytes;
    burst.count = static_cast<std::uint16_t>(i - dropped);
    return static_cast<std::uint16_t>(i);
  }

  [[gnu::noinline]] Outcome peek_chain(std::uint16_t i) noexcept {
    return batch_.is_simple(i) ? peek_asking(i) : walk(i);
  }

  /// A simple chain whose header asks for something. Its first two bytes were read, the rest is read here.
  Outcome peek_asking(std::uint16_t i) noexcept {
    const VirtioNetHeader header = load_header(asked_, batch_.header(i));
    PieceTaker taker(burst_, true);
    if (taker.append({batch_.body(i), batch_.length(i)}) != PieceTaker::Appended::yes) return Outcome::stopped;
    return finish(i, taker, header);
  }

  Outcome walk(std::uint16_t i) noexcept {
    auto walker = queue_.template walk<virtqueue::Direction::readable>(queue_.chain(batch_.chains(), i),
                                                                       context_.memory, context_.cursor.hint);
    budget_.count_chain();
    HeaderReader<net_header_bytes> header;
    HostSpan span;
    auto step = Step::buffer;
    while (!header.is_whole() && (step = walker.next(span)) == Step::buffer) header.take(span);
    if (step == Step::invalid) return stop_at_fault(i, walker);
    if (!header.is_whole()) return drop(i, VringCounter::drop_short_chain);
    return walk_packet(i, walker, span, header.header());
  }

  /// `span`: what follows the header in its last piece.
  Outcome walk_packet(std::uint16_t i, Walker& walker, HostSpan span, const VirtioNetHeader& header) noexcept {
    PieceTaker taker(burst_, asks_offload(header));
    auto step = Step::buffer;
    for (; step == Step::buffer; step = walker.next(span)) {
      if (span.size == 0) continue;
      const auto appended = taker.append(span);
      if (appended == PieceTaker::Appended::too_large || walker.is_scattered())
        return drop(i, VringCounter::drop_too_large);
      if (appended == PieceTaker::Appended::no_room) return Outcome::stopped;
    }
    return step == Step::invalid ? stop_at_fault(i, walker) : finish(i, taker, header);
  }

  Outcome finish(std::uint16_t i, PieceTaker& taker, const VirtioNetHeader& asked) noexcept {
    if (taker.length() < ethernet_header_bytes) return drop(i, VringCounter::drop_short_chain);
    GuestOffload offload;
    if (asks_offload(asked)) {
      PacketHead head;
      head.length = taker.head_length();
      head.packet_length = taker.length();
      std::memcpy(head.bytes, taker.head(), head.length);
      if (!check_guest_offload(asked, context_.features, head, offload)) return drop(i, VringCounter::drop_bad_header);
      if (offload.complete_checksum && !taker.gather()) return Outcome::stopped;
    }
    taker.commit(offload);
    if (offload.complete_checksum)
      complete_guest_checksum(asked, taker.length(), &burst_.build(burst_.count - std::size_t{1}));
    return Outcome::taken;
  }

  Outcome drop(std::uint16_t i, VringCounter cause) noexcept {
    burst_.drops[burst_.drop_count++] = {i, cause};
    context_.cursor.meter.count_dropped(0);
    return Outcome::taken;
  }

  /// The ring breaks only once all chains before this one are returned.
  Outcome stop_at_fault(std::uint16_t i, const Walker& walker) noexcept {
    if (i == 0) queue_.fail(walker.fault());
    return Outcome::stopped;
  }

  /// Returns all chains of a burst without a packet: there will be no give_back() for them.
  [[gnu::noinline]] Budget drop_all() noexcept {
    queue_.give_back(burst_.taken, 0, burst_.chains, [](std::size_t) { return 0U; });
    for (std::uint16_t i = 0; i < burst_.drop_count; ++i) context_.counters.add(burst_.drops[i].cause, 1);
    queue_.take(burst_.taken, burst_.chains);
    moved_on_ |= burst_.chains != 0;
    burst_.clear();
    if (!budget_.is_spent()) return Budget::left;
    judge_walk(context_, queue_, budget_, batch_.id(0));
    return Budget::spent;
  }

  const RingContext& context_;
  Queue& queue_;
  PeekedBurst& burst_;
  std::uint16_t asked_ = 0;  // the last header that peek_run() looked at
  bool moved_on_ = false;    // the ring's position has changed
  virtqueue::WalkBudget budget_{context_.cursor.meter};
  typename Queue::template Batch<FromGuest<net_header_bytes>> batch_;
};

// A function of its own, so that a single packet does not set up what a burst needs.
template <std::uint16_t net_header_bytes, virtqueue::Virtqueue Queue>
[[gnu::noinline]] BurstResult run(const RingContext& context, Queue& queue, std::uint16_t count,
                                  PeekedBurst& burst) noexcept {
  return Peeker<Queue, net_header_bytes>(context, queue, burst).run(count);
}

template <std::uint16_t net_header_bytes, virtqueue::Virtqueue Queue>
[[gnu::always_inline]] inline BurstResult peek_any(const RingContext& context, Queue& queue, std::uint16_t count,
                                                   PeekedBurst& burst) noexcept {
  if (std::min(count, queue.ready(count)) == 1) {
    typename Queue::template Single<FromGuest<net_header_bytes>> found;
    if (found.find(queue, context.cursor.hint, packet_bytes_max) && load_once<std::uint16_t>(found.header()) == 0)
        [[likely]] {
      add_plain(burst, 0, found.body(), found.length());
      found.copy_chain(burst.taken);
      burst.count = burst.chains = 1;
      burst.bytes = found.length();
      return {.packets = 1};
    }
  }
  return run<net_header_bytes>(context, queue, count, burst);
}

}  // namespace

template <Context C>
BurstResult peek(const C& context, std::uint16_t count, PeekedBurst& burst) noexcept {
  burst.clear();
  return with_queue(context, [&](auto& queue) {
    if (count == 0 || queue.is_empty()) return BurstResult{};
    count = std::min(count, batch_max);
    return with_header(context,
                       [&](auto net_header_bytes) { return peek_any<net_header_bytes>(context, queue, count, burst); });
  });
}

template <Context C>
BurstResult give_back(const C& context, const PeekedBurst& burst, std::uint16_t taken) noexcept {
  return with_queue(context, [&](auto& queue) {
    if (burst.chains == 1 && taken == 1) [[unlikely]] {  // short: there is no burst to share its cost
      queue.give_back(burst.taken, 0, 1, [](std::size_t) { return 0U; });
      queue.take(burst.taken, 1);
      queue.publish();
      count_burst(context.counters, 1, burst.bytes);
      return BurstResult{.packets = 1, .needs_call = queue.needs_call()};
    }
    const bool all = taken == burst.count;
    const std::uint16_t chains = burst.chains_before(taken);
    std::uint64_t bytes = all ? burst.bytes : 0;
    for (std::uint16_t i = 0; !all && i < taken; ++i) bytes += burst.packets[i].length;
    for (std::uint16_t i = 0; i < burst.drop_count && burst.drops[i].chain < chains; ++i)
      context.counters.add(burst.drops[i].cause, 1);
    queue.give_back(burst.taken, 0, chains, [](std::size_t) { return 0U; });
    queue.take(burst.taken, chains);
    const BurstResult result = publish(queue, taken);
    if (taken != 0) count_burst(context.counters, taken, bytes);
    return result;
  });
}

template BurstResult peek(const UnitContext&, std::uint16_t, PeekedBurst&) noexcept;
template BurstResult peek(const Logged<UnitContext>&, std::uint16_t, PeekedBurst&) noexcept;
template BurstResult give_back(const UnitContext&, const PeekedBurst&, std::uint16_t) noexcept;
template BurstResult give_back(const Logged<UnitContext>&, const PeekedBurst&, std::uint16_t) noexcept;

#ifndef VHOSTX_PACKED_UNIT
namespace {

/// The first segment has its length set to 0 already.
rte_mbuf* copy_chain(const PeekedBurst& burst, std::size_t i, rte_mempool* pool, rte_mbuf* first) noexcept {
  MbufWriter writer(pool, first);
  bool good = writer.append({burst.packets[i].head, burst.packets[i].head_length});
  burst.for_each_rest(i, [&](const HostSpan& span) { good = good && writer.append(span); });
  if (good) return first;
  rte_pktmbuf_free(first);
  return nullptr;
}

}  // namespace

rte_mbuf* copy_out(PeekedBurst& burst, std::size_t i, rte_mempool* pool) noexcept {
  rte_mbuf* const mbuf = rte_mbuf_raw_alloc(pool);
  if (mbuf == nullptr) return nullptr;
  const MbufTemplate fresh(pool);
  fresh.apply(mbuf, 0);
  rte_mbuf* const packet = copy_chain(burst, i, pool, mbuf);
  if (packet == nullptr) return nullptr;
  if (burst.is_plain(i)) return packet;
  const PeekedBurst::Detail& detail = burst.details[i];
  packet->ol_flags |= detail.ol_flags;
  packet->packet_type = detail.packet_type;
  if (detail.tso_segsz != 0) packet->tso_segsz = detail.tso_segsz;
  return packet;
}
#endif

}  // namespace vhostx::net
