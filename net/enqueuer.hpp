// SPDX-License-Identifier: BSD-3-Clause
// Enqueuer: packets of any source into a receiveq's chains.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <rte_mbuf.h>

#include "net/offload_to_guest.hpp"
#include "net/packet_reader.hpp"
#include "net/ring_context.hpp"
#include "net/segmenter.hpp"
#include "net/virtio_net_header.hpp"

namespace vhostx::net {

/// Where packets for a guest come from. `flags` are ol_flags, for DATA_VALID; `whole` is valid until the next call.
template <typename S>
concept PacketSource = requires(typename S::Packets packets, std::uint16_t i, std::uint8_t* to, std::uint32_t length,
                                std::uint64_t features, RingCounters& counters, void (*before_long_copy)()) {
  // The list without its first packets.
  { packets + i } -> std::same_as<typename S::Packets>;
  // For the straight path: whether it may take the packet (nothing to offload, not longer than this), its length and
  // flags (anything where it may not), and a copy as copy_packet() makes it.
  { S::is_plain(S::at(packets, i), length) } -> std::same_as<bool>;
  { S::length(S::at(packets, i)) } -> std::same_as<std::uint32_t>;
  { S::flags(S::at(packets, i)) } -> std::same_as<std::uint64_t>;
  S::copy(S::at(packets, i), to, length);
  S::copy(S::at(packets, i), to, length, before_long_copy);
  // Asks for what copy() will read, while another packet is copied.
  S::prefetch_rest(packets, i);
  // Packet i as an mbuf chain for a guest with these features.
  { S::whole(packets, i, features) } -> std::same_as<const rte_mbuf&>;
  // Adds counters of its own after packets were delivered.
  S::count(counters, features);
};

/// One burst into one ring. `net_header_bytes` is fixed per negotiation.
template <virtqueue::Virtqueue Queue, std::uint16_t net_header_bytes, PacketSource Source>
class Enqueuer {
  using Packets = typename Source::Packets;
  using WritableSpan = memory::WritableSpan;
  using Walker = typename Queue::template Walker<virtqueue::Direction::writable>;
  using Step = typename Walker::Step;

 public:
  /// `budget` belongs to the whole call, of which this burst may be a part.
  Enqueuer(const RingContext& context, Queue& queue, virtqueue::WalkBudget& budget) noexcept
      : context_(context), queue_(queue), budget_(budget), hint_(context.cursor.hint) {}

  [[gnu::noinline]] BurstResult run(Packets packets, std::uint16_t count) noexcept {
    std::uint16_t done = 0;
    while (done < count && !queue_.broken()) {
      const auto wanted = std::min<std::uint16_t>(static_cast<std::uint16_t>(count - done), batch_max);
      const std::uint16_t batch = std::min(wanted, queue_.ready(wanted));
      done = static_cast<std::uint16_t>(done + put_simple(packets + done, batch));
      if (done == count) break;
      if (queue_.is_empty()) {
        stall(EnqueueEnd::no_buffers, VringCounter::stall_no_buffer);
        break;
      }
      if (!stopped_) continue;
      const bool dealt_with = put_any(Source::whole(packets, done, context_.features));
      if (dealt_with) ++done;
      if (is_over() || !dealt_with) break;
    }
    return finish(done);
  }

 private:
  enum class Outcome {
    delivered,
    no_buffers,  // the driver has posted too few: the packet may be offered again
    no_header,   // the chain is too small for the net header: returned empty
    too_large,   // this driver's buffers cannot hold it
    no_budget,   // the budget of the call is spent
    bad_packet,  // the mbuf chain contradicts itself
    broken,
  };

  /// The straight path: packets of one segment into simple chains. Stops at the first packet that is not plain, or
  /// whose chain is not simple. `count` is at most batch_max and queue_.ready(count).
  [[gnu::always_inline]] std::uint16_t put_simple(Packets packets, std::uint16_t count) noexcept {
    const std::uint16_t good = batch_.load(queue_, context_.memory, count, packet_bytes_max, hint_);
    const std::uint16_t done =
        batch_.one_piece() ? write_simple<true>(packets, good) : write_simple<false>(packets, good);
    stopped_ = done != count;
    return done;
  }

  template <bool one_piece>
  [[gnu::always_inline]] std::uint16_t write_simple(Packets packets, std::uint16_t count) noexcept {
    // Local copies: the compiler cannot know that stores to guest memory do not change them.
    const std::uint32_t frame_max = context_.frame_max;
    const std::uint64_t valid_mask = data_valid_mask(context_.features);
    std::uint64_t bytes = 0;
    std::uint32_t i = 0;
    for (; i < count; ++i) {
      const auto& packet = Source::at(packets, i);
      const std::uint32_t length = Source::length(packet);
      if (!Source::is_plain(packet, frame_max) || length - 1 >= batch_.length(i)) [[unlikely]]
        break;
      const auto put_header = [&](std::uint8_t* to) {
        write_plain_header<net_header_bytes>(to, Source::flags(packet), valid_mask);
      };
      const auto put_body = [&](std::uint8_t* to) {
        Source::copy(packet, to, length, [&] {
          if (i + 1 < count) {
            batch_.template prefetch_body<one_piece>(i + 1, length);
            Source::prefetch_rest(packets, i + 1);
          }
        });
      };
      if constexpr (one_piece) {
        queue_.write(batch_.room(i, length), [&](std::uint8_t* to) {
          put_header(to);
          put_body(to + net_header_bytes);
        });
      } else {
        queue_.write(batch_.header_room(i), put_header);
        queue_.write(batch_.body_room(i, length), put_body);
      }
      written_[i] = length + net_header_bytes;
      bytes += length;
    }
    const std::uint32_t* written = written_.data();
    const auto done = static_cast<std::uint16_t>(i);
    queue_.give_back(batch_.chains(), 0, done, [written](std::size_t k) { return written[k]; });
    queue_.take(batch_.chains(), done);
    packets_ += done;
    bytes_ += bytes;
    return done;
  }

  /// Any packet into any chains. False: the packet stays with the caller and the burst ends.
  [[gnu::noinline]] bool put_any(const rte_mbuf& packet) noexcept {
    PacketView view;
    const OffloadVerdict verdict = prepare_for_guest(&packet, context_.features, view);
    if (verdict == OffloadVerdict::bad_offload) return drop(VringCounter::drop_bad_offload);
    const bool segment = verdict == OffloadVerdict::segment;
    if (!segment && view.header.gso_type == gso_none && view.packet_length() > context_.frame_max)
      return drop(VringCounter::drop_too_large);

    const auto mark = queue_.mark();
    const bool whole_budget = budget_.is_untouched();
    cost_ = virtqueue::PacketMeter(context_.cursor.meter);
    const std::uint64_t short_before = short_buffers_;
    const Outcome outcome = segment ? put_segments(view) : put_view(view);
    if (outcome == Outcome::delivered) {
      ++packets_;
      bytes_ += packet.pkt_len;
      if (segment) context_.counters.add(VringCounter::segmented, 1);
      if (verdict == OffloadVerdict::ready_checksummed) context_.counters.add(VringCounter::checksummed, 1);
      return true;
    }
    queue_.rewind(mark);
    short_buffers_ = short_before;
    if (outcome == Outcome::broken) return false;  // the driver sees nothing of this packet
    if (outcome == Outcome::bad_packet) return drop(VringCounter::drop_bad_offload);
    // The next call begins with this packet. If a whole budget is too small for it, it would come back for ever.
    if (outcome == Outcome::no_budget) {
      context_.cursor.enqueue_end = EnqueueEnd::budget;
      return whole_budget && drop(VringCounter::drop_too_large);
    }
    // A driver that has posted all that a ring holds will never have room for this one.
    if (outcome == Outcome::too_large || queue_.is_full()) return drop(VringCounter::drop_too_large);
    stall(EnqueueEnd::few_buffers, VringCounter::stall_few_buffers);
    return false;
  }

  Outcome put_segments(const PacketView& whole) noexcept {
    Segmenter segmenter(whole, context_.features);
    if (segmenter.count() > queue_.size()) return Outcome::too_large;  // each takes a chain at least
    for (PacketView segment; segmenter.next(segment);) {
      const Outcome outcome = put_view(segment);
      if (outcome != Outcome::delivered) return outcome;
    }
    return Outcome::delivered;
  }

  Outcome put_view(const PacketView& view) noexcept {
    Outcome outcome = try_view(view);
    while (outcome == Outcome::no_header) outcome = try_view(view);  // each took a chain: bounded by ring and budget
    return outcome;
  }

  Outcome try_view(const PacketView& view) noexcept {
    PacketReader reader(view);
    std::array<std::uint8_t, header_length_full> header{};
    std::memcpy(header.data(), &view.header, net_header_bytes);
    HeaderWriter writer{header.data(), header.data() + net_header_bytes, {}};
    std::uint16_t buffers = 0;
    while (!writer.done() || reader.left() != 0) {
      if (buffers != 0 && (context_.features & feature_mrg_rxbuf) == 0) return Outcome::too_large;
      const Outcome outcome = fill_chain(writer, reader);
      if (outcome != Outcome::delivered) return outcome;
      ++buffers;
    }
    writer.set_num_buffers(queue_, buffers);
    return Outcome::delivered;
  }

  /// Writes the net header into the chain, and remembers where num_buffers is, which is known last.
  struct HeaderWriter {
    const std::uint8_t* next;
    const std::uint8_t* end;
    std::array<WritableSpan, 2> num_buffers;

    bool done() const noexcept { return next == end; }
    void copy(const Queue& queue, WritableSpan& span) noexcept {
      const auto part = std::min<std::size_t>(static_cast<std::size_t>(end - next), span.size());
      if (part == 0) return;
      queue.write(span.first(part), [this, part](std::uint8_t* to) { std::memcpy(to, next, part); });
      for (std::size_t i = 0; i < part; ++i, ++next)
        if (net_header_bytes == header_length_full && end - next <= 2)
          num_buffers[static_cast<std::size_t>(2 - (end - next))] = span.after(i).first(1);
      span = span.after(part);
    }
    void set_num_buffers(const Queue& queue, std::uint16_t buffers) noexcept {
      if (net_header_bytes != header_length_full) return;
      for (const WritableSpan& byte : num_buffers) {
        queue.write(byte, [buffers](std::uint8_t* to) { *to = static_cast<std::uint8_t>(buffers); });
        buffers >>= 8;
      }
    }
  };

  /// Fills the next chain as far as it goes and returns it to the driver.
  Outcome fill_chain(HeaderWriter& header, PacketReader& reader) noexcept {
    virtqueue::Chain chain;
    if (!budget_.has_descriptors()) return Outcome::no_budget;
    const auto taken = queue_.take(chain);
    if (taken != virtqueue::Take::chain)
      return taken == virtqueue::Take::invalid ? Outcome::broken : Outcome::no_buffers;
    last_id_ = chain.id;
    auto walker = queue_.template walk<virtqueue::Direction::writable>(chain, context_.memory, hint_);
    std::uint32_t written = 0;
    while (!header.done() || reader.left() != 0) {
      WritableSpan span;
      const auto step = walker.next(span);
      if (step == Step::end) break;
      if (step == Step::invalid) {
        queue_.fail(walker.fault());
        return Outcome::broken;
      }
      if (cost_.is_scattered()) return Outcome::too_large;
      const std::size_t before = span.size();
      header.copy(queue_, span);
      const std::size_t part = std::min<std::size_t>(span.size(), reader.left());
      bool whole = true;
      queue_.write(span.first(part), [&](std::uint8_t* to) { whole = reader.copy(to, part); });
      if (!whole) return Outcome::bad_packet;
      written += static_cast<std::uint32_t>(before - span.size() + part);
    }
    if (!header.done()) {  // VIRTIO 1.2, 5.1.6.3.1: each buffer holds the header at least (CVE-2026-86566)
      queue_.give_back(chain, 0);
      ++short_buffers_;
      return Outcome::no_header;
    }
    if (written != 0) budget_.count_chain();
    queue_.give_back(chain, written);
    return Outcome::delivered;
  }

  /// After a packet that did not take the straight path: whether the budget is spent.
  bool is_over() noexcept {
    if (!budget_.is_spent()) return false;
    context_.cursor.enqueue_end = EnqueueEnd::budget;
    if (packets_ == 0) judge_walk(context_, queue_, budget_, last_id_);
    return true;
  }

  bool drop(VringCounter cause) noexcept {
    context_.counters.add(cause, 1);
    return true;
  }
  void stall(EnqueueEnd end, VringCounter cause) noexcept {
    context_.cursor.enqueue_end = end;
    context_.counters.add(cause, 1);
  }

  BurstResult finish(std::uint16_t done) noexcept {
    context_.cursor.hint = hint_;
    const BurstResult result = publish(queue_, done);
    if (packets_ != 0) {
      count_burst(context_.counters, packets_, bytes_);
      Source::count(context_.counters, packets_);
    }
    if (short_buffers_ != 0) context_.counters.add(VringCounter::short_buffers, short_buffers_);
    if (queue_.bad_chains() != 0) context_.counters.add(VringCounter::drop_bad_head, queue_.bad_chains());
    return result;
  }

  const RingContext& context_;
  Queue& queue_;
  virtqueue::WalkBudget& budget_;
  virtqueue::PacketMeter cost_{context_.cursor.meter};  // of the packet in put_any()
  memory::GuestMemory::Hint hint_;
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t short_buffers_ = 0;
  bool stopped_ = false;                          // put_simple() met a packet or chain that is not simple
  std::uint16_t last_id_ = 0;                     // of the chain that was walked last
  std::array<std::uint32_t, batch_max> written_;  // header and packet
  typename Queue::template Batch<ToGuest<net_header_bytes>> batch_;
};

/// One plain packet into the next chain if that is simple; else 0 packets, and nothing was touched.
template <std::uint16_t net_header_bytes, PacketSource Source, virtqueue::Virtqueue Queue>
[[gnu::always_inline]] inline BurstResult put_single(const RingContext& context, Queue& queue,
                                                     typename Source::Packets packets) noexcept {
  typename Queue::template Single<ToGuest<net_header_bytes>> room;
  const auto& packet = Source::at(packets, 0);
  const std::uint32_t length = Source::length(packet);
  if (!Source::is_plain(packet, context.frame_max) || !room.find(queue, context.cursor.hint, packet_bytes_max) ||
      length - 1 >= room.length()) [[unlikely]]
    return {};
  queue.write(room.room(length), [&](std::uint8_t* to) {
    write_plain_header<net_header_bytes>(to, Source::flags(packet), data_valid_mask(context.features));
    Source::copy(packet, to + net_header_bytes, length);
  });
  queue.use(room.chain(), length + net_header_bytes);
  count_burst(context.counters, 1, length);
  Source::count(context.counters, 1);
  return {.packets = 1, .needs_call = queue.needs_call()};
}

template <std::uint16_t net_header_bytes, PacketSource Source, virtqueue::Virtqueue Queue>
[[gnu::noinline]] BurstResult put_burst(const RingContext& context, Queue& queue, typename Source::Packets packets,
                                        std::uint16_t count) noexcept {
  virtqueue::WalkBudget budget(context.cursor.meter);
  return Enqueuer<Queue, net_header_bytes, Source>(context, queue, budget).run(packets, count);
}

/// Packets of a Source into the ring, in order; see enqueue().
template <PacketSource Source>
[[gnu::always_inline]] inline BurstResult enqueue_from(const Context auto& context, typename Source::Packets packets,
                                                       std::uint16_t count) noexcept {
  return with_queue(context, [&](auto& queue) {
    return with_header(context, [&](auto net_header_bytes) {
      if (count == 1 && !queue.is_empty()) {
        const BurstResult single = put_single<net_header_bytes, Source>(context, queue, packets);
        if (single.packets != 0) [[likely]]
          return single;
      }
      return put_burst<net_header_bytes, Source>(context, queue, packets, count);
    });
  });
}

}  // namespace vhostx::net
