// SPDX-License-Identifier: BSD-3-Clause
#include "net/enqueue.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "net/offload_to_guest.hpp"
#include "net/packet_reader.hpp"
#include "net/segmenter.hpp"
#include "net/virtio_net_header.hpp"
#include "virtqueue/chain_walker.hpp"

namespace vhostx::net {
namespace {

using memory::HostSpan;
using virtqueue::ChainWalker;
using virtqueue::Descriptor;
using virtqueue::Pop;
using virtqueue::RawDescriptor;
using virtqueue::SplitQueue;

template <std::uint16_t header_bytes>
class Enqueuer {
 public:
  Enqueuer(const RingContext& context, SplitQueue& queue) noexcept
      : context_(context), queue_(queue), hint_(context.cursor.hint) {}

  BurstResult run(rte_mbuf* const* packets, std::uint16_t count) noexcept {
    std::uint16_t done = 0;
    while (done < count && !queue_.broken()) {
      const auto left = static_cast<std::uint16_t>(count - done);
      done = static_cast<std::uint16_t>(done + put_simple(packets + done, std::min(left, batch_max)));
      if (done == count) break;
      if (queue_.ready() == 0) {
        stall();
        break;
      }
      if (!stopped_) continue;
      if (!put_any(*packets[done])) break;
      ++done;
    }
    return finish(done);
  }

 private:
  enum class Outcome {
    delivered,
    no_buffers,  // the driver has posted too few: offer the packet again
    no_header,   // a chain that does not even hold the net header: given back empty
    too_large,   // this driver's buffers cannot hold it
    bad_packet,  // the mbuf chain contradicts itself
    broken,
  };
  static constexpr std::uint32_t no_head = ~0U;

  bool is_simple(const rte_mbuf& packet) const noexcept {
    return packet.nb_segs == 1 && !needs_offload(packet) && packet.data_len <= context_.frame_max;
  }

  /// The straight path: packets of one segment into chains of one descriptor inside one region. Stops at the first
  /// packet that is not, or whose chain is not; the chain's descriptor, already loaded, is kept for put_any.
  std::uint16_t put_simple(rte_mbuf* const* packets, std::uint16_t count) noexcept {
    count = std::min(count, queue_.ready());
    stopped_ = false;
    queue_.copy_heads(heads_.data(), count);
    const std::uint8_t* table = context_.layout.descriptors;
    for (std::uint16_t i = 0; i < count; ++i)
      rte_prefetch0(table + std::size_t{heads_[i]} * sizeof(Descriptor));  // also of a bad head: harmless
    count = resolve(packets, count);
    write_simple(packets, count);
    return count;
  }

  /// Finds where each packet goes. Local copies of what does not change: the compiler cannot know that the arrays are
  /// not it.
  std::uint16_t resolve(rte_mbuf* const* packets, std::uint16_t count) noexcept {
    constexpr std::uint16_t looked_at = Descriptor::next_flag | Descriptor::write_flag | Descriptor::indirect_flag;
    const virtqueue::RingLayout layout = context_.layout;
    memory::GuestMemory::Hint hint = hint_;
    std::uint16_t i = 0;
    for (; i < count; ++i) {
      const rte_mbuf& packet = *packets[i];
      if (!is_simple(packet) || heads_[i] >= layout.size) [[unlikely]]
        break;
      const RawDescriptor descriptor = layout.descriptor(heads_[i]);
      const std::uint32_t needed = std::uint32_t{header_bytes} + packet.data_len;
      std::uint8_t* data = nullptr;
      if ((descriptor.flags() & looked_at) == Descriptor::write_flag && descriptor.length() >= needed) [[likely]]
        data = context_.memory.translate({descriptor.address}, needed, hint).data;
      if (data == nullptr) [[unlikely]] {
        seed_head_ = heads_[i];
        seed_ = descriptor;
        break;
      }
      data_[i] = data;
      lengths_[i] = needed;
      rte_prefetch0(data);
    }
    hint_ = hint;
    stopped_ = i != count;
    return i;
  }

  void write_simple(rte_mbuf* const* packets, std::uint16_t count) noexcept {
    const std::uint64_t features = context_.features;
    std::uint64_t bytes = 0;
    for (std::uint16_t i = 0; i < count; ++i) {
      const rte_mbuf& packet = *packets[i];
      std::uint8_t* data = data_[i];
      VirtioNetHeader header = plain_header(packet, features);
      header.num_buffers = 1;  // also without MRG_RXBUF (VIRTIO 1.2, 5.1.6.4.1)
      std::memcpy(data, &header, header_bytes);
      std::memcpy(data + header_bytes, rte_pktmbuf_mtod(&packet, const void*), packet.data_len);
      bytes += packet.data_len;
    }
    const std::uint32_t* lengths = lengths_.data();
    queue_.add_used_run(heads_.data(), count, [lengths](std::uint16_t i) { return lengths[i]; });
    queue_.advance(count);
    packets_ += count;
    bytes_ += bytes;
  }

  /// Any packet into any chains. False: it stays with the caller, the burst ends.
  bool put_any(const rte_mbuf& packet) noexcept {
    PacketView view;
    const OffloadVerdict verdict = prepare_for_guest(&packet, context_.features, view);
    if (verdict == OffloadVerdict::bad_offload) return drop(VringCounter::drop_bad_offload);
    const bool segment = verdict == OffloadVerdict::segment;
    if (!segment && view.header.gso_type == gso_none && view.packet_length() > context_.frame_max)
      return drop(VringCounter::drop_too_large);

    const auto mark = queue_.mark();
    const std::uint64_t short_before = short_buffers_;
    const Outcome outcome = segment ? put_segments(view) : put_view(view);
    seed_head_ = no_head;
    if (outcome == Outcome::delivered) {
      ++packets_;
      bytes_ += packet.pkt_len;
      if (segment) context_.counters.add(VringCounter::segmented, 1);
      if (verdict == OffloadVerdict::ready_checksummed) context_.counters.add(VringCounter::checksummed, 1);
      return true;
    }
    if (outcome == Outcome::broken) return false;
    queue_.rewind(mark);
    short_buffers_ = short_before;
    if (outcome == Outcome::bad_packet) return drop(VringCounter::drop_bad_offload);
    // A driver that has posted all that a ring holds will never have room for this one.
    if (outcome == Outcome::too_large || queue_.ready() == context_.layout.size)
      return drop(VringCounter::drop_too_large);
    stall();
    return false;
  }

  Outcome put_segments(const PacketView& whole) noexcept {
    Segmenter segmenter(whole, context_.features);
    if (segmenter.count() > context_.layout.size) return Outcome::too_large;  // each takes a chain at least
    for (PacketView segment; segmenter.next(segment);) {
      const Outcome outcome = put_view(segment);
      if (outcome != Outcome::delivered) return outcome;
    }
    return Outcome::delivered;
  }

  Outcome put_view(const PacketView& view) noexcept {
    Outcome outcome = try_view(view);
    while (outcome == Outcome::no_header) outcome = try_view(view);  // each took a chain: bounded by the ring
    return outcome;
  }

  Outcome try_view(const PacketView& view) noexcept {
    PacketReader reader(view);
    std::array<std::uint8_t, header_length_full> header{};
    std::memcpy(header.data(), &view.header, header_bytes);
    HeaderWriter writer{header.data(), header.data() + header_bytes, {}};
    std::uint16_t buffers = 0;
    while (!writer.done() || reader.left() != 0) {
      if (buffers != 0 && (context_.features & feature_mrg_rxbuf) == 0) return Outcome::too_large;
      const Outcome outcome = fill_chain(writer, reader);
      if (outcome != Outcome::delivered) return outcome;
      ++buffers;
    }
    writer.set_num_buffers(buffers);
    return Outcome::delivered;
  }

  /// The net header on its way into the chain, and where its num_buffers came to lie: it is known last.
  struct HeaderWriter {
    const std::uint8_t* next;
    const std::uint8_t* end;
    std::array<std::uint8_t*, 2> num_buffers;

    bool done() const noexcept { return next == end; }
    void copy(HostSpan& span) noexcept {
      for (; !done() && span.size != 0; ++span.data, --span.size) {
        if (header_bytes == header_length_full && end - next <= 2)
          num_buffers[static_cast<std::size_t>(2 - (end - next))] = span.data;
        *span.data = *next++;
      }
    }
    void set_num_buffers(std::uint16_t buffers) noexcept {
      if (header_bytes != header_length_full) return;
      *num_buffers[0] = static_cast<std::uint8_t>(buffers);
      *num_buffers[1] = static_cast<std::uint8_t>(buffers >> 8);
    }
  };

  /// Fills the next chain as far as it goes and gives it back.
  Outcome fill_chain(HeaderWriter& header, PacketReader& reader) noexcept {
    std::uint16_t head = 0;
    const Pop pop = queue_.pop(head);
    if (pop != Pop::chain) return pop == Pop::lying ? Outcome::broken : Outcome::no_buffers;
    const RawDescriptor first = head == seed_head_ ? seed_ : context_.layout.descriptor(head);
    seed_head_ = no_head;
    ChainWalker walker(context_.layout, context_.memory, hint_, virtqueue::Direction::writable, head, first);
    std::uint32_t written = 0;
    while (!header.done() || reader.left() != 0) {
      HostSpan span;
      const auto step = walker.next(span);
      if (step == ChainWalker::Step::end) break;
      if (step == ChainWalker::Step::lying) {
        queue_.fail(walker.fault());
        return Outcome::broken;
      }
      const std::size_t before = span.size;
      header.copy(span);
      const std::size_t part = std::min<std::size_t>(span.size, reader.left());
      if (!reader.copy(span.data, part)) return Outcome::bad_packet;
      written += static_cast<std::uint32_t>(before - span.size + part);
    }
    if (!header.done()) {  // VIRTIO 1.2, 5.1.6.3.1: each buffer holds the header at least (CVE-2026-86566)
      queue_.add_used(head, 0);
      ++short_buffers_;
      return Outcome::no_header;
    }
    queue_.add_used(head, written);
    return Outcome::delivered;
  }

  bool drop(VringCounter cause) noexcept {
    seed_head_ = no_head;
    context_.counters.add(cause, 1);
    return true;
  }
  void stall() noexcept { context_.counters.add(VringCounter::stall_no_buffer, 1); }

  BurstResult finish(std::uint16_t done) noexcept {
    context_.cursor.hint = hint_;
    BurstResult result{.packets = done};
    if (queue_.publish()) result.needs_call = queue_.needs_call();
    if (packets_ != 0) {
      context_.counters.add(VringCounter::packets, packets_);
      context_.counters.add(VringCounter::bytes, bytes_);
      context_.counters.add(VringCounter::bursts, 1);
    }
    if (short_buffers_ != 0) context_.counters.add(VringCounter::short_buffers, short_buffers_);
    if (queue_.bad_heads_skipped() != 0) context_.counters.add(VringCounter::drop_bad_head, queue_.bad_heads_skipped());
    return result;
  }

  const RingContext& context_;
  SplitQueue& queue_;
  memory::GuestMemory::Hint hint_;
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t short_buffers_ = 0;
  bool stopped_ = false;               // put_simple met something that is not simple
  std::uint32_t seed_head_ = no_head;  // the next head, when its descriptor is loaded already
  RawDescriptor seed_{};
  std::array<std::uint16_t, batch_max> heads_;
  std::array<std::uint8_t*, batch_max> data_;
  std::array<std::uint32_t, batch_max> lengths_;  // header and packet
};

}  // namespace

BurstResult enqueue(const RingContext& context, rte_mbuf* const* packets, std::uint16_t count) noexcept {
  SplitQueue queue(context.layout, context.cursor);
  if (header_length(context.features) == header_length_full)
    return Enqueuer<header_length_full>(context, queue).run(packets, count);
  return Enqueuer<header_length_legacy>(context, queue).run(packets, count);
}

}  // namespace vhostx::net
