// SPDX-License-Identifier: BSD-3-Clause
// Fresh mbufs, as a poll-mode driver makes them: taken raw from the pool, their fields set by a few wide stores.
#pragma once

#include <algorithm>
#include <cstdint>

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "memory/address.hpp"

namespace vhostx::net {

/// The eight bytes data_off, refcnt, nb_segs and port of a fresh mbuf, and its ol_flags.
class MbufTemplate {
 public:
  explicit MbufTemplate(rte_mempool* pool) noexcept {
    rte_mbuf model{};
    model.data_off = std::min<std::uint16_t>(RTE_PKTMBUF_HEADROOM, rte_pktmbuf_data_room_size(pool));
    model.refcnt = 1;
    model.nb_segs = 1;
    model.port = RTE_MBUF_PORT_INVALID;
    rearm_ = *rearm_word(&model);
    // Mbufs of a pool with pinned external buffers stay attached to them for life.
    if ((rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0) pool_flags_ = RTE_MBUF_F_EXTERNAL;
  }

  /// An mbuf from rte_mempool_get_bulk, or one that this was called on before, becomes one segment of `length` bytes.
  /// A pool hands out mbufs with next == nullptr (DPDK: rte_mbuf_raw_alloc).
  void apply(rte_mbuf* mbuf, std::uint32_t length) const noexcept {
    *rearm_word(mbuf) = rearm_;
    mbuf->ol_flags = pool_flags_;
    mbuf->packet_type = 0;
    mbuf->pkt_len = length;
    mbuf->data_len = static_cast<std::uint16_t>(length);
    mbuf->vlan_tci = 0;
  }

 private:
  static std::uint64_t* rearm_word(rte_mbuf* mbuf) noexcept {
    return reinterpret_cast<std::uint64_t*>(&mbuf->rearm_data);
  }

  std::uint64_t rearm_ = 0;
  std::uint64_t pool_flags_ = 0;
};

/// Fills a chain of mbufs piece by piece, and takes further segments from the pool as it goes.
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
      last_->data_len = static_cast<std::uint16_t>(last_->data_len + room);
      first_->pkt_len += room;
      bytes.data += room;
      bytes.size -= room;
    }
    return true;
  }

  /// Gives back all but the first segment, so that it may be used again.
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
