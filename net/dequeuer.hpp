// SPDX-License-Identifier: BSD-3-Clause
// Dequeuer: one burst from a guest, whatever becomes of each packet.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

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

/// The next packet, if it is a common one of at most `payload_max` bytes without offload requests; else 0 packets, and
/// nothing was touched. queue.ready() must not be 0.
template <std::uint16_t net_header_bytes>
[[gnu::always_inline]] inline BurstResult dequeue_single(const RingContext& context, virtqueue::SplitQueue& queue,
                                                         rte_mempool* pool, rte_mbuf** packet,
                                                         std::uint32_t payload_max) noexcept {
  SinglePacket<virtqueue::Direction::readable, net_header_bytes, ethernet_header_bytes> found;
  const MbufTemplate fresh(pool);
  if (!found.find(queue, context, std::min(fresh.room(), payload_max)) ||
      memory::load_once<std::uint16_t>(found.header()) != 0 ||
      rte_mempool_get(pool, reinterpret_cast<void**>(packet)) != 0) [[unlikely]]
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

/// What became of a packet's chain.
enum class ChainOutcome {
  copied,
  lent,     // delivered, and the chain stays out
  walked,   // the same, after a ChainWalker
  dropped,  // counted; the chain goes back to the driver
  stalled,  // no mbufs: the chain stays in the ring
  broken,
};

/// `net_header_bytes` is fixed per negotiation, so that the common packet runs straight. `Self` derives from this and
/// has
///   std::uint16_t load(std::uint16_t batch)                          fills batch_
///   std::uint16_t take_straight(std::uint16_t begin, std::uint16_t end)  by take_run(), as far as that goes
///   ChainOutcome take_chain(std::uint16_t i)                        one chain, into packets_[done_]
template <std::uint16_t net_header_bytes, typename Self>
class Dequeuer {
 public:
  Dequeuer(const RingContext& context, virtqueue::SplitQueue& queue, rte_mempool* pool, rte_mbuf** packets) noexcept
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

 protected:
  using ChainWalker = virtqueue::ChainWalker;
  using PrivateHeader = std::array<std::uint8_t, header_length_full>;

  /// Chains from `begin` on that are simple, all in one piece if the template argument says so. Ends before the first
  /// that is not.
  template <bool one_piece>
  [[gnu::always_inline]] std::uint16_t take_run(std::uint16_t begin, std::uint16_t batch) noexcept {
    const MbufTemplate fresh = template_;  // a local copy: the stores below cannot change it
    rte_mbuf** next = packets_ + done_;
    std::uint64_t bytes = 0;
    std::uint32_t i = begin;
    for (; i < batch; ++i) {
      const std::uint32_t length = batch_.length(i);
      if (!one_piece && !batch_.is_simple(i)) break;
      rte_mbuf* const mbuf = *next;
      fresh.apply(mbuf, length);
      const auto asked = memory::load_once<std::uint16_t>(batch_.header(i));
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

  ChainWalker walker(std::uint16_t i) noexcept {
    const std::uint16_t head = batch_.head(i);
    budget_.count_chain();
    return {context_.layout,
            context_.memory,
            context_.cursor.hint,
            context_.cursor.meter,
            virtqueue::Direction::readable,
            head,
            context_.layout.descriptor(head)};
  }

  /// What is left of a chain. `header_have` bytes of the net header are in `header`; `mbuf` is the writer's first.
  /// The net header may be cut anywhere, and so may the packet (VIRTIO 1.2, 2.7.4: no framing is assumed).
  ChainOutcome copy_chain(ChainWalker& walker, MbufWriter& writer, const rte_mbuf* mbuf, PrivateHeader& header,
                          std::size_t header_have) noexcept {
    memory::HostSpan span;
    for (;;) {
      const auto step = walker.next(span);
      if (step == ChainWalker::Step::invalid) return break_ring(walker);
      if (step == ChainWalker::Step::end)
        return header_have == net_header_bytes ? ChainOutcome::copied : drop(VringCounter::drop_short_chain);
      take_header(header, header_have, span);
      if (span.size > packet_bytes_max - mbuf->pkt_len || walker.is_scattered())
        return drop(VringCounter::drop_too_large);
      if (!writer.append(span)) return stall();
    }
  }

  /// Moves the missing bytes of the private header out of `span`.
  static void take_header(PrivateHeader& header, std::size_t& have, memory::HostSpan& span) noexcept {
    const std::size_t part = std::min<std::size_t>(span.size, net_header_bytes - have);
    for (std::size_t k = 0; k < part; ++k) header[have++] = memory::load_once<std::uint8_t>(span.data++);
    span.size -= part;
  }

  /// A packet that copy_chain() has copied whole.
  ChainOutcome finish_copy(rte_mbuf* mbuf, const PrivateHeader& header) noexcept {
    if (mbuf->pkt_len < ethernet_header_bytes) return drop(VringCounter::drop_short_chain);
    const auto asked = memory::load_once<std::uint16_t>(header.data());  // our own copy
    if (asked != 0 && !offload(mbuf, asked, header.data())) return ChainOutcome::dropped;
    bytes_ += mbuf->pkt_len;
    return ChainOutcome::copied;
  }

  /// `asked`: flags and gso_type, the header's first two bytes, read already; the rest is read here.
  static VirtioNetHeader load_header(std::uint16_t asked, const std::uint8_t* header) noexcept {
    const auto word = [header](std::size_t offset) { return memory::load_once<std::uint16_t>(header + offset); };
    return {.flags = static_cast<std::uint8_t>(asked),
            .gso_type = static_cast<std::uint8_t>(asked >> 8),
            .hdr_len = word(offsetof(VirtioNetHeader, hdr_len)),
            .gso_size = word(offsetof(VirtioNetHeader, gso_size)),
            .csum_start = word(offsetof(VirtioNetHeader, csum_start)),
            .csum_offset = word(offsetof(VirtioNetHeader, csum_offset)),
            .num_buffers = 0};
  }

  /// False: the header is invalid, and the packet is dropped.
  [[gnu::noinline]] bool offload(rte_mbuf* mbuf, std::uint16_t asked, const std::uint8_t* header) noexcept {
    return offload(mbuf, load_header(asked, header));
  }
  bool offload(rte_mbuf* mbuf, const VirtioNetHeader& header) noexcept {
    if (apply_guest_offload(header, context_.features, mbuf)) return true;
    context_.counters.add(VringCounter::drop_bad_header, 1);
    context_.cursor.meter.count_dropped(mbuf->pkt_len);
    if (budget_.is_spent()) stalled_ = true;
    return false;
  }

  ChainOutcome drop(VringCounter cause) noexcept {
    context_.counters.add(cause, 1);
    context_.cursor.meter.count_dropped(0);
    return ChainOutcome::dropped;
  }
  [[gnu::noinline]] ChainOutcome stall() noexcept {
    stalled_ = true;
    context_.counters.add(VringCounter::stall_no_mbuf, 1);
    return ChainOutcome::stalled;
  }
  ChainOutcome break_ring(const ChainWalker& walker) noexcept {
    queue_.fail(walker.fault());
    return ChainOutcome::broken;
  }

  const RingContext& context_;
  virtqueue::SplitQueue& queue_;
  rte_mempool* pool_;
  MbufTemplate template_;
  rte_mbuf** packets_;
  std::uint64_t bytes_ = 0;
  std::uint16_t done_ = 0;
  bool stalled_ = false;  // the burst ends here
  virtqueue::WalkBudget budget_{context_.cursor.meter};
  PacketBatch<virtqueue::Direction::readable, net_header_bytes> batch_;

 private:
  Self& self() noexcept { return static_cast<Self&>(*this); }

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
    const std::uint16_t good = self().load(batch);
    std::uint16_t taken = self().take_straight(0, good);
    while (taken != good) {
      const ChainOutcome outcome = self().take_chain(taken);
      if (outcome >= ChainOutcome::stalled) break;
      if (outcome != ChainOutcome::dropped) ++done_;
      if (outcome != ChainOutcome::lent && is_over(taken, outcome)) {
        ++taken;
        break;
      }
      ++taken;
      taken = self().take_straight(taken, good);
    }
    queue_.advance(taken);
    if (taken == good && good != batch) skip_bad_head(batch_.head(good));
    if (done_ != end)
      rte_mempool_put_bulk(pool_, reinterpret_cast<void**>(packets_ + done_), static_cast<unsigned>(end - done_));
  }

  /// After chain `i`, which was walked or not lent: whether the burst is over.
  bool is_over(std::uint16_t i, ChainOutcome outcome) noexcept {
    const std::uint16_t head = batch_.head(i);
    if (outcome != ChainOutcome::walked) queue_.add_used(head, 0);
    if (!budget_.is_spent()) return false;
    stalled_ = true;
    if (done_ == 0) judge_walk(context_, queue_, budget_, head);
    return true;
  }

  [[gnu::noinline]] void skip_bad_head(std::uint16_t head) noexcept {
    context_.counters.add(VringCounter::drop_bad_head, 1);
    if (queue_.skip_bad_head(head)) queue_.advance(1);
  }

  BurstResult finish() noexcept {
    BurstResult result{.packets = done_};
    if (queue_.publish()) result.needs_call = queue_.needs_call();
    if (done_ != 0) count_burst(context_.counters, done_, bytes_);
    return result;
  }
};

}  // namespace vhostx::net
