// SPDX-License-Identifier: BSD-3-Clause
// Turns the pieces of a chain into the segments of an mbuf chain attached to them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <rte_mbuf.h>

#include "memory/address.hpp"
#include "zerocopy/loan_table.hpp"

namespace vhostx::zerocopy {

/// A chain of more pieces than this is not lent. Linux makes at most 19 (MAX_SKB_FRAGS and what precedes them).
inline constexpr std::uint32_t lent_pieces_max = 32;

/// The buffers of one chain after the net header, in guest memory.
struct Pieces {
  std::array<memory::HostSpan, lent_pieces_max> spans;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;

  Pieces() noexcept {}  // NOLINT: the spans are not cleared
  /// False: too many.
  bool add(memory::HostSpan span) noexcept {
    if (count == lent_pieces_max) return false;
    spans[count++] = span;
    bytes += static_cast<std::uint32_t>(span.size);
    return true;
  }
  const memory::HostSpan* begin() const noexcept { return spans.data(); }
  const memory::HostSpan* end() const noexcept { return spans.data() + count; }
};

/// The same, cut to what one mbuf (buf_len has 16 bits) and one device address can hold.
class Segments {
 public:
  Segments() noexcept {}  // NOLINT: the list is not cleared

  /// False: too many.
  bool add(const DmaMemory& memory, const Pieces& pieces) noexcept {
    return std::all_of(pieces.begin(), pieces.end(), [&](const memory::HostSpan& span) { return add(memory, span); });
  }

  std::uint16_t first_size() const noexcept { return list_[0].size; }

  /// A number for the order of a loan's buffers, computed segment by segment. It shows whether an application that
  /// chained mbufs has kept that order.
  static constexpr std::uint64_t order_of_none = 0;
  static std::uint64_t order_after(std::uint64_t before, const rte_mbuf& segment) noexcept {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
    return (before ^ reinterpret_cast<std::uintptr_t>(segment.buf_addr)) * odd;
  }

  /// Attaches `first`, which is fresh, and as many further mbufs of `pool` as needed. The loan gets a reference for
  /// each. `filled`: whether the buffers hold a packet or wait for one. False: the pool is empty, and nothing has
  /// changed.
  bool attach(rte_mbuf* first, rte_mempool* pool, Loan& loan, bool filled) const noexcept {
    std::array<rte_mbuf*, count_max> more;
    const std::uint32_t more_count = count_ - 1;
    if (more_count != 0 && rte_pktmbuf_alloc_bulk(pool, more.data(), more_count) != 0) return false;
    loan.shared.refcnt = static_cast<std::uint16_t>(count_);
    attach_one(first, list_[0], loan, filled);
    if (!filled) loan.order = order_after(order_of_none, *first);
    first->nb_segs = static_cast<std::uint16_t>(count_);
    std::uint32_t bytes = first->data_len;
    rte_mbuf* last = first;
    for (std::uint32_t i = 0; i < more_count; ++i) {
      attach_one(more[i], list_[i + 1], loan, filled);
      if (!filled) loan.order = order_after(loan.order, *more[i]);
      bytes += more[i]->data_len;
      last->next = more[i];
      last = more[i];
    }
    first->pkt_len = bytes;
    return true;
  }

 private:
  struct Segment {
    const std::uint8_t* data;
    std::uint16_t size;
    rte_iova_t iova;
  };
  static constexpr std::uint32_t count_max = 2 * lent_pieces_max;

  bool add(const DmaMemory& memory, memory::HostSpan span) noexcept {
    while (span.size != 0) {
      if (count_ == count_max) return false;
      constexpr std::size_t segment_max = std::numeric_limits<std::uint16_t>::max();
      const auto [iova, size] = memory.find(span.data, std::min(span.size, segment_max));
      list_[count_++] = {span.data, static_cast<std::uint16_t>(size), iova};
      span.data += size;
      span.size -= size;
    }
    return true;
  }

  static void attach_one(rte_mbuf* mbuf, const Segment& segment, Loan& loan, bool filled) noexcept {
    rte_pktmbuf_attach_extbuf(mbuf, memory::unqualified(segment.data), segment.iova, segment.size, &loan.shared);
    mbuf->data_len = filled ? segment.size : std::uint16_t{0};
  }

  std::array<Segment, count_max> list_;
  std::uint32_t count_ = 0;
};

}  // namespace vhostx::zerocopy
