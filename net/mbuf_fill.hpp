// SPDX-License-Identifier: BSD-3-Clause
// Initialises mbufs as a poll-mode driver does: taken raw from the pool, fields set by a few wide stores.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "memory/address.hpp"
#include "memory/load_hook.hpp"

namespace vhostx::net {

/// The initial fields of an mbuf of a pool, so that initialising one is four stores.
class MbufTemplate {
 public:
  explicit MbufTemplate(rte_mempool* pool) noexcept {
    const std::uint16_t buffer_bytes = rte_pktmbuf_data_room_size(pool);
    const std::uint16_t data_offset = std::min<std::uint16_t>(RTE_PKTMBUF_HEADROOM, buffer_bytes);
    room_ = static_cast<std::uint32_t>(buffer_bytes - data_offset);
    // data_off, refcnt, nb_segs, port.
    rearm_ = std::uint64_t{data_offset} | std::uint64_t{1} << 16 | std::uint64_t{1} << 32 |
             std::uint64_t{RTE_MBUF_PORT_INVALID} << 48;
    // Mbufs of a pool with pinned external buffers stay attached to them for life.
    if ((rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0) pool_flags_ = RTE_MBUF_F_EXTERNAL;
  }

  /// Bytes after the headroom of every mbuf of the pool.
  std::uint32_t room() const noexcept { return room_; }

  /// Where the packet begins in a fresh mbuf.
  std::uint8_t* data(const rte_mbuf* mbuf) const noexcept {
    return static_cast<std::uint8_t*>(mbuf->buf_addr) + static_cast<std::uint16_t>(rearm_);  // its low half is data_off
  }

  /// An mbuf from rte_mempool_get_bulk, or one that this was called on before, becomes one segment of `length` bytes,
  /// at most room(). A pool hands out mbufs with next == nullptr (DPDK: rte_mbuf_raw_alloc).
  void apply(rte_mbuf* mbuf, std::uint32_t length) const noexcept {
    auto* words = reinterpret_cast<Word*>(&mbuf->rearm_data);
    words[0] = rearm_;
    words[1] = pool_flags_;                  // ol_flags
    words[2] = std::uint64_t{length} << 32;  // packet_type, pkt_len
    words[3] = length;                       // data_len, vlan_tci, hash.rss
  }

  /// The same for an mbuf that points to `length` bytes elsewhere, without headroom and tailroom. Not for a pool with
  /// pinned external buffers. Does what apply() and rte_pktmbuf_attach_extbuf() do, in fewer stores.
  void apply_external(rte_mbuf* mbuf, const std::uint8_t* data, rte_iova_t iova, std::uint16_t length,
                      rte_mbuf_ext_shared_info* shared) const noexcept {
    auto* words = reinterpret_cast<Word*>(&mbuf->rearm_data);
    words[0] = rearm_ & ~std::uint64_t{0xffff};  // data_off 0
    words[1] = RTE_MBUF_F_EXTERNAL;
    words[2] = std::uint64_t{length} << 32;
    words[3] = length;
    mbuf->buf_addr = memory::unqualified(data);
    rte_mbuf_iova_set(mbuf, iova);
    mbuf->buf_len = length;
    mbuf->shinfo = shared;
  }

 private:
  using Word __attribute__((may_alias)) = std::uint64_t;
  // The four words that apply() writes.
  static constexpr std::size_t rearm_at = offsetof(rte_mbuf, rearm_data);
  static_assert(offsetof(rte_mbuf, data_off) == rearm_at && offsetof(rte_mbuf, refcnt) == rearm_at + 2);
  static_assert(offsetof(rte_mbuf, nb_segs) == rearm_at + 4 && offsetof(rte_mbuf, port) == rearm_at + 6);
  static_assert(offsetof(rte_mbuf, ol_flags) == rearm_at + 8);
  static_assert(offsetof(rte_mbuf, packet_type) == rearm_at + 16 && offsetof(rte_mbuf, pkt_len) == rearm_at + 20);
  static_assert(offsetof(rte_mbuf, data_len) == rearm_at + 24 && offsetof(rte_mbuf, vlan_tci) == rearm_at + 26);
  static_assert(offsetof(rte_mbuf, hash) == rearm_at + 28);

  std::uint64_t rearm_ = 0;
  std::uint64_t pool_flags_ = 0;
  std::uint32_t room_ = 0;
};

/// Fills a chain of mbufs piece by piece, and takes further segments from the pool as needed.
class MbufWriter {
 public:
  /// `first` is one fresh segment of length 0.
  MbufWriter(rte_mempool* pool, rte_mbuf* first) noexcept : pool_(pool), first_(first), last_(first) {}

  /// False when the pool is empty: call discard().
  bool append(memory::HostSpan bytes) noexcept {
    while (bytes.size != 0) {
      std::uint16_t room = rte_pktmbuf_tailroom(last_);
      if (room == 0) {
        if (!add_segment()) return false;
        continue;
      }
      room = static_cast<std::uint16_t>(std::min<std::size_t>(room, bytes.size));
      rte_memcpy(rte_pktmbuf_mtod_offset(last_, void*, last_->data_len), bytes.data, room);
      memory::loaded(bytes.data, room);
      last_->data_len = static_cast<std::uint16_t>(last_->data_len + room);
      first_->pkt_len += room;
      bytes.data += room;
      bytes.size -= room;
    }
    return true;
  }

  /// Frees all but the first segment, which may be used again.
  void discard() noexcept {
    if (first_->next != nullptr) rte_pktmbuf_free(first_->next);
    first_->next = nullptr;
    first_->nb_segs = 1;
    last_ = first_;
  }

 private:
  bool add_segment() noexcept {
    rte_mbuf* segment = rte_pktmbuf_alloc(pool_);
    if (segment == nullptr) return false;
    // A pool whose mbufs have no room at all would never end.
    if (rte_pktmbuf_tailroom(segment) == 0) {
      rte_pktmbuf_free(segment);
      return false;
    }
    last_->next = segment;
    last_ = segment;
    ++first_->nb_segs;
    return true;
  }

  rte_mempool* pool_;
  rte_mbuf* first_;
  rte_mbuf* last_;
};

}  // namespace vhostx::net
