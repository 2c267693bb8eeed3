// SPDX-License-Identifier: BSD-3-Clause
// Borrower and Committer: a receiveq's chains as empty mbufs, and the packets in them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "net/mbuf_fill.hpp"
#include "net/mbuf_pieces.hpp"
#include "net/offload_to_guest.hpp"
#include "net/ring_context.hpp"
#include "zerocopy/lending.hpp"
#include "zerocopy/segments.hpp"

namespace vhostx::zerocopy {

/// One burst of borrow().
template <virtqueue::Virtqueue Queue>
class Borrower {
  using Walker = typename Queue::template Walker<virtqueue::Direction::writable>;
  using WritableSpan = memory::WritableSpan;

 public:
  Borrower(const net::RingContext& context, Queue& queue, const Lending& lending, rte_mempool* pool) noexcept
      : context_(context),
        queue_(queue),
        lending_(lending),
        pool_(pool),
        template_(pool),
        net_header_bytes_(net::header_length(context.features)),
        now_(rte_rdtsc()),
        budget_(context.cursor.meter) {}

  /// Null: no more buffers can be borrowed.
  rte_mbuf* next() noexcept {
    rte_mbuf* mbuf = nullptr;
    if (budget_.is_spent()) return nullptr;
    if (rte_mempool_get(pool_, reinterpret_cast<void**>(&mbuf)) != 0) {
      context_.counters.add(VringCounter::stall_no_mbuf, 1);
      return nullptr;
    }
    template_.apply(mbuf, 0);
    virtqueue::Chain chain;
    const bool spare = lending_.table.take_spare(chain);
    if (spare || queue_.take(chain) == virtqueue::Take::chain) {
      const bool lent = lend(mbuf, chain);
      if (lent && !spare) queue_.keep(1);
      if (lent) return mbuf;
      if (spare)
        lending_.table.keep_spare(chain);
      else
        queue_.untake(chain);
    }
    rte_mempool_put(pool_, mbuf);
    return nullptr;
  }

  /// Call it after a burst that lent nothing.
  void judge() noexcept { net::judge_walk(context_, queue_, budget_, last_id_); }

 private:
  bool lend(rte_mbuf* mbuf, const virtqueue::Chain& chain) noexcept {
    Walker walker = queue_.template walk<virtqueue::Direction::writable>(chain, context_.memory, context_.cursor.hint);
    last_id_ = chain.id;
    Pieces pieces;
    WritableSpan header;
    Segments segments;
    if (!find(walker, header, pieces) || !queue_.can_walk_later(walker.chain()) ||
        !segments.add(*lending_.pin.memory(), pieces))
      return false;
    // IOVAs must be contiguous over the net header: the first mbuf has room for all of it, and for data.
    if (header.data() == pieces.spans[0].data && segments.first_size() <= net_header_bytes_) return false;
    Loan* const loan = lending_.table.take(lending_.pin, walker.chain(), now_);
    if (loan == nullptr) return false;
    loan->header = header;
    loan->first = chain.first;
    if (segments.attach(mbuf, pool_, *loan, false)) {
      // Room for the net header, if that has no piece of its own.
      mbuf->data_off = static_cast<std::uint16_t>(header.data() == mbuf->buf_addr ? net_header_bytes_ : 0);
      return true;
    }
    context_.counters.add(VringCounter::stall_no_mbuf, 1);
    lending_.table.cancel(*loan);
    return false;
  }

  /// Walks the whole chain. Its first piece begins with the net header, or is only that and not among `pieces`.
  bool find(Walker& walker, WritableSpan& header, Pieces& pieces) noexcept {
    for (WritableSpan span;;) {
      const auto step = walker.next(span);
      if (step == Walker::Step::invalid) {
        queue_.fail(walker.fault());
        return false;
      }
      if (step == Walker::Step::end)
        return pieces.bytes > (header.data() == pieces.spans[0].data ? net_header_bytes_ : 0U);
      const memory::HostSpan piece{
          span.data(), std::min<std::size_t>(span.size(), net::packet_bytes_max + net_header_bytes_ - pieces.bytes)};
      if (header.data() == nullptr) {
        if (piece.size < net_header_bytes_) return false;  // cut
        header = span.first(net_header_bytes_);
        if (piece.size == net_header_bytes_) continue;
      }
      if (piece.size != 0 && !pieces.add(piece)) return false;
    }
  }

  const net::RingContext& context_;
  Queue& queue_;
  const Lending& lending_;
  rte_mempool* pool_;
  const net::MbufTemplate template_;
  const std::uint16_t net_header_bytes_;
  const std::uint64_t now_;
  virtqueue::WalkBudget budget_;
  std::uint16_t last_id_ = 0;  // of the chain that was walked last
};

/// One burst of commit().
template <virtqueue::Virtqueue Queue>
class Committer {
 public:
  Committer(const net::RingContext& context, Queue& queue, const Lending& lending) noexcept
      : context_(context), queue_(queue), lending_(lending), net_header_bytes_(net::header_length(context.features)) {}

  /// Delivers the packet in place, if its data is where the driver will look for it. False: nothing has changed.
  bool deliver_in_place(rte_mbuf* packet) noexcept {
    std::uint16_t loans = 0;
    if (!is_ours(packet, loans) || (loans > 1 && (context_.features & net::feature_mrg_rxbuf) == 0)) return false;
    net::PacketView view;
    const auto verdict = net::prepare_for_guest(packet, context_.features, view);
    if (verdict == net::OffloadVerdict::bad_offload || verdict == net::OffloadVerdict::segment) return false;
    if (view.header.gso_type == net::gso_none && view.packet_length() > context_.frame_max) return false;
    if (verdict == net::OffloadVerdict::ready_checksummed) context_.counters.add(VringCounter::checksummed, 1);

    const std::uint8_t* edited = view.prefix;
    net::for_each_piece(packet, 0, view.prefix_length, [&edited](std::uint8_t* bytes, std::uint32_t count) {
      std::memcpy(bytes, edited, count);
      edited += count;
    });
    view.header.num_buffers = loans;
    queue_.write(lending_.table.find(*packet)->header,
                 [&](std::uint8_t* to) { std::memcpy(to, &view.header, net_header_bytes_); });
    bytes_ += packet->pkt_len;
    ++packets_;
    show(packet);
    return true;
  }

  std::uint64_t packets() const noexcept { return packets_; }
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  /// Whether all segments are borrowed, not shared, complete loans, and filled from the front. `loans` counts loans.
  bool is_ours(rte_mbuf* packet, std::uint16_t& loans) const noexcept {
    std::uint32_t bytes = 0;
    bool full = true;  // each buffer before a packet's last must be full (VIRTIO 1.2, 5.1.6.4.1)
    for (rte_mbuf* segment = packet; segment != nullptr; ++loans) {
      const std::uint32_t before = bytes;
      const Loan* const loan = lending_.table.find(*segment);
      if (loan == nullptr || !is_whole(segment, *loan, loans == 0, full, bytes) || bytes == before) return false;
    }
    return bytes == packet->pkt_len && bytes >= net::ethernet_header_bytes;
  }

  /// Moves `segment` past the loan's segments and adds their bytes to `bytes`. `full`: whether all so far are full.
  bool is_whole(rte_mbuf*& segment, const Loan& loan, bool first, bool& full, std::uint32_t& bytes) const noexcept {
    std::uint16_t segments = 0;
    std::uint64_t order = Segments::order_of_none;
    // After the net header in the packet's first buffer, at the begin of the others (VIRTIO 1.2, 5.1.6.4).
    const bool header_inside = segment->buf_addr == loan.header.data();
    if (!first && !header_inside) return false;
    std::uint16_t expected = first && header_inside ? net_header_bytes_ : std::uint16_t{0};
    for (; segment != nullptr && segment->shinfo == &loan.shared && lending_.table.find(*segment) == &loan;
         segment = segment->next, ++segments) {
      if (rte_mbuf_refcnt_read(segment) != 1 || std::uint32_t{segment->data_off} + segment->data_len > segment->buf_len)
        return false;
      order = Segments::order_after(order, *segment);
      if (segment->data_len != 0 && (!full || segment->data_off != expected)) return false;
      full = full && expected + segment->data_len == segment->buf_len;
      bytes += segment->data_len;
      expected = 0;
    }
    return order == loan.order && rte_mbuf_ext_refcnt_read(&loan.shared) == segments;
  }

  void show(rte_mbuf* packet) noexcept {
    std::uint32_t written = net_header_bytes_;
    for (rte_mbuf* segment = packet; segment != nullptr;) {
      Loan& loan = *lending_.table.find(*segment);
      for (; segment != nullptr && segment->shinfo == &loan.shared; segment = segment->next) {
        written += segment->data_len;
        queue_.wrote(loan.pin->memory()->memory(), {rte_pktmbuf_mtod(segment, const std::uint8_t*), segment->data_len});
      }
      queue_.give_back_kept(loan.chain(), written);
      rte_mbuf_ext_refcnt_update(&loan.shared, 1);  // our own reference: freeing the mbufs then does not call back
      written = 0;
    }
    // Cancels each loan after its mbufs are detached, as the loans are found through the mbufs.
    while (packet != nullptr) {
      rte_mbuf* const next = packet->next;
      Loan& loan = *lending_.table.find(*packet);
      rte_pktmbuf_free_seg(packet);
      if (rte_mbuf_ext_refcnt_read(&loan.shared) == 1) lending_.table.cancel(loan);
      packet = next;
    }
  }

  const net::RingContext& context_;
  Queue& queue_;
  const Lending& lending_;
  const std::uint16_t net_header_bytes_;
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace vhostx::zerocopy
