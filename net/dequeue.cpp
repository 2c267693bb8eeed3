// SPDX-License-Identifier: BSD-3-Clause
#include "net/dequeue.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <rte_mbuf.h>

#include "memory/load_once.hpp"
#include "net/copy.hpp"
#include "net/mbuf_fill.hpp"
#include "net/offload_from_guest.hpp"
#include "net/packet_batch.hpp"
#include "net/single_packet.hpp"
#include "net/virtio_net_header.hpp"
#include "virtqueue/chain_walker.hpp"

namespace vhostx::net {
namespace {

using memory::HostSpan;
using memory::load_once;
using virtqueue::ChainWalker;
using virtqueue::SplitQueue;

/// One burst. `header_bytes` is fixed per negotiation, so that the common packet runs straight.
template <std::uint16_t header_bytes>
class Dequeuer {
 public:
  Dequeuer(const RingContext& context, SplitQueue& queue, rte_mempool* pool, rte_mbuf** packets) noexcept
      : context_(context), queue_(queue), pool_(pool), template_(pool), packets_(packets) {}

  [[gnu::noinline]] BurstResult run(std::uint16_t count) noexcept {
    while (done_ < count && !stalled_ && !queue_.broken()) {
      const auto wanted = std::min<std::uint16_t>(static_cast<std::uint16_t>(count - done_), batch_max);
      const std::uint16_t batch = std::min(wanted, queue_.ready());
      if (batch == 0) break;
      run_batch(batch);
    }
    return finish();
  }

 private:
  enum class Outcome {
    delivered,
    dropped,  // counted; the chain goes back to the driver
    stalled,  // no mbufs: the chain stays in the ring
    broken,
  };

  /// Mbufs for the whole batch at once; fewer when the pool runs low.
  [[gnu::always_inline]] std::uint16_t allocate(std::uint16_t batch) noexcept {
    for (; batch != 0; batch /= 2)
      if (rte_mempool_get_bulk(pool_, reinterpret_cast<void**>(packets_ + done_), batch) == 0) return batch;
    stall();
    return 0;
  }

  [[gnu::always_inline]] void run_batch(std::uint16_t batch) noexcept {
    batch = allocate(batch);
    const std::uint16_t end = static_cast<std::uint16_t>(done_ + batch);
    const std::uint16_t good = batch_.load(queue_, context_, batch, template_.room(), context_.cursor.hint);
    std::uint16_t taken = take_simple_run(0, good);
    while (taken != good) {
      const Outcome outcome = take_chain(taken);
      if (outcome >= Outcome::stalled) break;
      queue_.add_used(batch_.head(taken), 0);
      if (outcome == Outcome::delivered) ++done_;
      ++taken;
      taken = take_simple_run(taken, good);
    }
    queue_.advance(taken);
    if (taken == good && good != batch) skip_bad_head(batch_.head(good));
    if (done_ != end)
      rte_mempool_put_bulk(pool_, reinterpret_cast<void**>(packets_ + done_), static_cast<unsigned>(end - done_));
  }

  [[gnu::noinline]] void skip_bad_head(std::uint16_t head) noexcept {
    context_.counters.add(VringCounter::drop_bad_head, 1);
    if (queue_.skip_bad_head(head)) queue_.advance(1);
  }

  /// The straight path, from chain `begin` on; ends before the first that is not simple.
  [[gnu::always_inline]] std::uint16_t take_simple_run(std::uint16_t begin, std::uint16_t batch) noexcept {
    return batch_.one_piece() ? take_run<true>(begin, batch) : take_run<false>(begin, batch);
  }

  template <bool one_piece>
  [[gnu::always_inline]] std::uint16_t take_run(std::uint16_t begin, std::uint16_t batch) noexcept {
    const MbufTemplate fresh = template_;  // local copies: nothing that is stored below can be they
    rte_mbuf** next = packets_ + done_;
    std::uint64_t bytes = 0;
    std::uint32_t i = begin;
    for (; i < batch; ++i) {
      const std::uint32_t length = batch_.length(i);
      if (!one_piece && !batch_.is_simple(i)) break;
      rte_mbuf* const mbuf = *next;
      fresh.apply(mbuf, length);
      const auto asked = load_once<std::uint16_t>(batch_.header(i));
      copy_packet(fresh.data(mbuf), batch_.template payload<one_piece>(i), length, [&] {
        if (i + 1 < batch) batch_.template prefetch_payload<one_piece>(i + 1, length);
      });
      if (asked != 0) [[unlikely]]
        if (!offload(mbuf, asked, batch_.header(i))) continue;
      bytes += length;
      ++next;
    }
    bytes_ += bytes;
    queue_.add_used_run(batch_.heads() + begin, static_cast<std::uint16_t>(i - begin), [](std::size_t) { return 0U; });
    done_ = static_cast<std::uint16_t>(next - packets_);
    return static_cast<std::uint16_t>(i);
  }

  /// `asked`: flags and gso_type, the header's first two bytes, read already; the rest is read here. False: the header
  /// lies, and the packet is dropped.
  [[gnu::noinline]] bool offload(rte_mbuf* mbuf, std::uint16_t asked, const std::uint8_t* shared) noexcept {
    const auto word = [shared](std::size_t offset) { return load_once<std::uint16_t>(shared + offset); };
    const VirtioNetHeader header{.flags = static_cast<std::uint8_t>(asked),
                                 .gso_type = static_cast<std::uint8_t>(asked >> 8),
                                 .hdr_len = word(offsetof(VirtioNetHeader, hdr_len)),
                                 .gso_size = word(offsetof(VirtioNetHeader, gso_size)),
                                 .csum_start = word(offsetof(VirtioNetHeader, csum_start)),
                                 .csum_offset = word(offsetof(VirtioNetHeader, csum_offset)),
                                 .num_buffers = 0};
    if (apply_guest_offload(header, context_.features, mbuf)) return true;
    context_.counters.add(VringCounter::drop_bad_header, 1);
    return false;
  }

  [[gnu::noinline]] Outcome take_chain(std::uint16_t i) noexcept {
    rte_mbuf* mbuf = packets_[done_];
    template_.apply(mbuf, 0);
    MbufWriter writer(pool_, mbuf);
    ChainWalker walker(context_.layout, context_.memory, context_.cursor.hint, virtqueue::Direction::readable,
                       batch_.head(i), context_.layout.descriptor(batch_.head(i)));
    std::array<std::uint8_t, header_length_full> header{};
    const Outcome outcome = copy_chain(walker, writer, mbuf, header.data());
    if (outcome != Outcome::delivered) {
      writer.discard();
      return outcome;
    }
    if (mbuf->pkt_len < ethernet_header_bytes) {
      writer.discard();
      return drop(VringCounter::drop_short_chain);
    }
    return finish_chain(mbuf, header.data(), writer);
  }

  /// The net header may be cut anywhere, and so may the packet (VIRTIO 1.2, 2.7.4: no framing is assumed).
  Outcome copy_chain(ChainWalker& walker, MbufWriter& writer, const rte_mbuf* mbuf, std::uint8_t* header) noexcept {
    std::size_t header_have = 0;
    HostSpan span;
    for (;;) {
      const auto step = walker.next(span);
      if (step == ChainWalker::Step::lying) {
        queue_.fail(walker.fault());
        return Outcome::broken;
      }
      if (step == ChainWalker::Step::end)
        return header_have == header_bytes ? Outcome::delivered : drop(VringCounter::drop_short_chain);
      const std::size_t part = std::min<std::size_t>(span.size, header_bytes - header_have);
      for (std::size_t k = 0; k < part; ++k) header[header_have++] = load_once<std::uint8_t>(span.data++);
      span.size -= part;
      if (span.size > packet_bytes_max - mbuf->pkt_len) return drop(VringCounter::drop_too_large);
      if (!writer.append(span)) {
        stall();
        return Outcome::stalled;
      }
    }
  }

  Outcome finish_chain(rte_mbuf* mbuf, const std::uint8_t* header, MbufWriter& writer) noexcept {
    const auto asked = load_once<std::uint16_t>(header);  // our own copy
    if (asked != 0 && !offload(mbuf, asked, header)) {
      writer.discard();
      return Outcome::dropped;
    }
    bytes_ += mbuf->pkt_len;
    return Outcome::delivered;
  }

  Outcome drop(VringCounter cause) noexcept {
    context_.counters.add(cause, 1);
    return Outcome::dropped;
  }
  [[gnu::noinline]] void stall() noexcept {
    stalled_ = true;
    context_.counters.add(VringCounter::stall_no_mbuf, 1);
  }

  BurstResult finish() noexcept {
    BurstResult result{.packets = done_};
    if (queue_.publish()) result.needs_call = queue_.needs_call();
    if (done_ != 0) count_burst(context_.counters, done_, bytes_);
    return result;
  }

  const RingContext& context_;
  SplitQueue& queue_;
  rte_mempool* pool_;
  MbufTemplate template_;
  rte_mbuf** packets_;
  std::uint64_t bytes_ = 0;
  std::uint16_t done_ = 0;
  bool stalled_ = false;
  PacketBatch<virtqueue::Direction::readable, header_bytes> batch_;
};

// A function of its own: an idle poll does not set up what a burst needs.
template <std::uint16_t header_bytes>
[[gnu::noinline]] BurstResult run(const RingContext& context, SplitQueue& queue, rte_mempool* pool, rte_mbuf** packets,
                                  std::uint16_t count) noexcept {
  return Dequeuer<header_bytes>(context, queue, pool, packets).run(count);
}

/// The next packet, if it is the common one and asks nothing of its header; else 0 packets, and nothing was touched.
template <std::uint16_t header_bytes>
[[gnu::always_inline]] inline BurstResult take_single(const RingContext& context, SplitQueue& queue, rte_mempool* pool,
                                                      rte_mbuf** packet) noexcept {
  SinglePacket<virtqueue::Direction::readable, header_bytes, ethernet_header_bytes> found;
  const MbufTemplate fresh(pool);
  if (!found.find(queue, context, std::min(fresh.room(), packet_bytes_max)) ||
      load_once<std::uint16_t>(found.header()) != 0 || rte_mempool_get(pool, reinterpret_cast<void**>(packet)) != 0)
      [[unlikely]]
    return {};
  const std::uint32_t length = found.length();
  rte_mbuf* const mbuf = *packet;
  fresh.apply(mbuf, length);
  copy_packet(fresh.data(mbuf), found.payload(), length);
  queue.add_used(found.head(), 0);
  queue.advance(1);
  queue.publish();
  count_burst(context.counters, 1, length);
  return {.packets = 1, .needs_call = queue.needs_call()};
}

template <std::uint16_t header_bytes>
[[gnu::always_inline]] inline BurstResult take(const RingContext& context, SplitQueue& queue, rte_mempool* pool,
                                               rte_mbuf** packets, std::uint16_t count) noexcept {
  if (std::min(count, queue.ready()) == 1) {
    const BurstResult single = take_single<header_bytes>(context, queue, pool, packets);
    if (single.packets != 0) [[likely]]
      return single;
  }
  return run<header_bytes>(context, queue, pool, packets, count);
}

}  // namespace

BurstResult dequeue(const RingContext& context, rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  SplitQueue queue(context.layout, context.cursor);
  if (queue.ready() == 0) return {};  // idle, the cheapest case
  if (header_length(context.features) == header_length_full)
    return take<header_length_full>(context, queue, pool, packets, count);
  return take<header_length_legacy>(context, queue, pool, packets, count);
}

BurstResult drain(const RingContext& context) noexcept {
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
