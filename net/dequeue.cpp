// SPDX-License-Identifier: BSD-3-Clause
#include "net/dequeue.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "memory/load_once.hpp"
#include "net/mbuf_fill.hpp"
#include "net/offload_from_guest.hpp"
#include "net/virtio_net_header.hpp"
#include "virtqueue/chain_walker.hpp"

namespace vhostx::net {
namespace {

using memory::HostSpan;
using memory::load_once;
using virtqueue::ChainWalker;
using virtqueue::Descriptor;
using virtqueue::RawDescriptor;
using virtqueue::SplitQueue;

/// One burst. `header_bytes` is fixed per negotiation, so that the common packet runs straight.
template <std::uint16_t header_bytes>
class Dequeuer {
 public:
  Dequeuer(const RingContext& context, SplitQueue& queue, rte_mempool* pool, rte_mbuf** packets) noexcept
      : context_(context), queue_(queue), hint_(context.cursor.hint), pool_(pool), template_(pool), packets_(packets) {}

  BurstResult run(std::uint16_t count) noexcept {
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
    skipped,  // counted; there is no chain to give back
    stalled,  // no mbufs: the chain stays in the ring
    broken,
  };

  /// Mbufs for the whole batch at once; fewer when the pool runs low.
  std::uint16_t allocate(std::uint16_t batch) noexcept {
    for (; batch != 0; batch /= 2)
      if (rte_mempool_get_bulk(pool_, reinterpret_cast<void**>(packets_ + done_), batch) == 0) return batch;
    stall();
    return 0;
  }

  void run_batch(std::uint16_t batch) noexcept {
    batch = allocate(batch);
    load_descriptors(batch);
    const std::uint16_t end = static_cast<std::uint16_t>(done_ + batch);
    std::uint16_t taken = take_simple_run(0, batch);
    while (taken != batch) {
      const Outcome outcome = take_chain(taken);
      if (outcome >= Outcome::stalled) break;
      if (outcome != Outcome::skipped) queue_.add_used(heads_[taken], 0);
      if (outcome == Outcome::delivered) ++done_;
      ++taken;
      taken = take_simple_run(taken, batch);
    }
    queue_.advance(taken);
    if (done_ != end)
      rte_mempool_put_bulk(pool_, reinterpret_cast<void**>(packets_ + done_), static_cast<unsigned>(end - done_));
  }

  /// Each descriptor once; `data_` where it is a whole packet in one region, null where take_chain has to look closer.
  /// Local copies of what does not change: the compiler cannot know that the arrays are not it.
  void load_descriptors(std::uint16_t batch) noexcept {
    const virtqueue::RingLayout layout = context_.layout;
    queue_.copy_heads(heads_.data(), batch);
    for (std::uint16_t i = 0; i < batch; ++i)
      rte_prefetch0(layout.descriptors + std::size_t{heads_[i]} * sizeof(Descriptor));  // also of a bad head: harmless
    constexpr std::uint16_t not_simple = Descriptor::next_flag | Descriptor::write_flag | Descriptor::indirect_flag;
    memory::GuestMemory::Hint hint = hint_;
    for (std::uint16_t i = 0; i < batch; ++i) {
      data_[i] = nullptr;
      if (heads_[i] >= layout.size) [[unlikely]]
        continue;
      const RawDescriptor descriptor = layout.descriptor(heads_[i]);
      descriptors_[i] = descriptor;
      if ((descriptor.flags() & not_simple) != 0 || descriptor.length() < header_bytes + ethernet_header_bytes)
          [[unlikely]]
        continue;
      const std::uint8_t* data = context_.memory.translate({descriptor.address}, descriptor.length(), hint).data;
      data_[i] = data;
      rte_prefetch0(data);
    }
    hint_ = hint;
  }

  /// The straight path, from chain `begin` on; ends before the first that is not simple.
  std::uint16_t take_simple_run(std::uint16_t begin, std::uint16_t batch) noexcept {
    const MbufTemplate fresh = template_;
    rte_mbuf** const packets = packets_;
    std::uint16_t done = done_;
    std::uint64_t bytes = 0;
    std::uint16_t i = begin;
    for (; i < batch && data_[i] != nullptr; ++i) {
      rte_mbuf* mbuf = packets[done];
      const std::uint8_t* header = data_[i];
      const std::uint32_t length = descriptors_[i].length() - header_bytes;
      fresh.apply(mbuf, length);
      if (length > rte_pktmbuf_tailroom_empty(mbuf)) [[unlikely]]
        break;
      const auto first_word = load_once<std::uint64_t>(header);
      std::memcpy(rte_pktmbuf_mtod(mbuf, void*), header + header_bytes, length);
      if (asks_offload(first_word)) [[unlikely]]
        if (!offload(mbuf, first_word, load_once<std::uint16_t>(header + sizeof first_word))) continue;
      bytes += length;
      ++done;
    }
    queue_.add_used_run(heads_.data() + begin, static_cast<std::uint16_t>(i - begin), [](std::uint16_t) { return 0U; });
    done_ = done;
    bytes_ += bytes;
    return i;
  }

  static std::uint32_t rte_pktmbuf_tailroom_empty(const rte_mbuf* mbuf) noexcept {
    return static_cast<std::uint32_t>(mbuf->buf_len - mbuf->data_off);
  }
  /// flags and gso_type are the first two bytes.
  static bool asks_offload(std::uint64_t first_word) noexcept { return (first_word & 0xffff) != 0; }

  /// False: the header lies, and the packet is dropped.
  bool offload(rte_mbuf* mbuf, std::uint64_t first_word, std::uint16_t csum_offset) noexcept {
    const VirtioNetHeader header{.flags = static_cast<std::uint8_t>(first_word),
                                 .gso_type = static_cast<std::uint8_t>(first_word >> 8),
                                 .hdr_len = static_cast<std::uint16_t>(first_word >> 16),
                                 .gso_size = static_cast<std::uint16_t>(first_word >> 32),
                                 .csum_start = static_cast<std::uint16_t>(first_word >> 48),
                                 .csum_offset = csum_offset,
                                 .num_buffers = 0};
    if (apply_guest_offload(header, context_.features, mbuf)) return true;
    context_.counters.add(VringCounter::drop_bad_header, 1);
    return false;
  }

  Outcome take_chain(std::uint16_t i) noexcept {
    if (heads_[i] >= context_.layout.size) {
      context_.counters.add(VringCounter::drop_bad_head, 1);
      return queue_.skip_bad_head(heads_[i]) ? Outcome::skipped : Outcome::broken;
    }
    rte_mbuf* mbuf = packets_[done_];
    template_.apply(mbuf, 0);
    MbufWriter writer(pool_, mbuf);
    ChainWalker walker(context_.layout, context_.memory, hint_, virtqueue::Direction::readable, heads_[i],
                       descriptors_[i]);
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
    const auto first_word = load_once<std::uint64_t>(header);  // our own copy
    if (asks_offload(first_word) && !offload(mbuf, first_word, load_once<std::uint16_t>(header + sizeof first_word))) {
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
  void stall() noexcept {
    stalled_ = true;
    context_.counters.add(VringCounter::stall_no_mbuf, 1);
  }

  BurstResult finish() noexcept {
    context_.cursor.hint = hint_;
    BurstResult result{.packets = done_};
    if (queue_.publish()) result.needs_call = queue_.needs_call();
    if (done_ != 0) {
      context_.counters.add(VringCounter::packets, done_);
      context_.counters.add(VringCounter::bytes, bytes_);
      context_.counters.add(VringCounter::bursts, 1);
    }
    return result;
  }

  const RingContext& context_;
  SplitQueue& queue_;
  memory::GuestMemory::Hint hint_;
  rte_mempool* pool_;
  MbufTemplate template_;
  rte_mbuf** packets_;
  std::uint64_t bytes_ = 0;
  std::uint16_t done_ = 0;
  bool stalled_ = false;
  std::array<std::uint16_t, batch_max> heads_;
  std::array<RawDescriptor, batch_max> descriptors_;
  std::array<const std::uint8_t*, batch_max> data_;
};

}  // namespace

BurstResult dequeue(const RingContext& context, rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  SplitQueue queue(context.layout, context.cursor);
  if (queue.ready() == 0) return {};  // idle, the cheapest case
  if (header_length(context.features) == header_length_full)
    return Dequeuer<header_length_full>(context, queue, pool, packets).run(count);
  return Dequeuer<header_length_legacy>(context, queue, pool, packets).run(count);
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
