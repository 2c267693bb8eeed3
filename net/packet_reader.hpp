// SPDX-License-Identifier: BSD-3-Clause
// PacketReader: reads a PacketView's bytes in order: edited headers first, then the rest from the application's mbufs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "memory/load_hook.hpp"
#include "net/packet_view.hpp"

namespace vhostx::net {

class PacketReader {
 public:
  explicit PacketReader(const PacketView& view) noexcept
      : mbuf_(view.mbuf),
        piece_(view.prefix),
        piece_left_(view.prefix_length),
        offset_(view.offset),
        rest_(view.length) {}

  std::uint32_t left() const noexcept { return static_cast<std::uint32_t>(piece_left_) + rest_; }

  /// Copies the next `length` bytes, at most left(). False: the mbuf chain is shorter than its pkt_len says.
  bool copy(std::uint8_t* to, std::size_t length) noexcept {
    while (length != 0) {
      if (piece_left_ == 0 && !next_piece()) return false;
      const std::size_t part = std::min<std::size_t>(length, piece_left_);
      rte_memcpy(to, piece_, part);
      memory::loaded(piece_, part);
      to += part;
      length -= part;
      piece_ += part;
      piece_left_ -= static_cast<std::uint32_t>(part);
    }
    return true;
  }

 private:
  bool next_piece() noexcept {
    for (; mbuf_ != nullptr; mbuf_ = mbuf_->next) {
      if (offset_ < mbuf_->data_len) {
        piece_ = rte_pktmbuf_mtod_offset(mbuf_, const std::uint8_t*, offset_);
        piece_left_ = std::min<std::uint32_t>(mbuf_->data_len - offset_, rest_);
        rest_ -= piece_left_;
        offset_ = 0;
        mbuf_ = mbuf_->next;
        return piece_left_ != 0;
      }
      offset_ -= mbuf_->data_len;
    }
    return false;
  }

  const rte_mbuf* mbuf_;
  const std::uint8_t* piece_;
  std::uint32_t piece_left_;
  std::uint32_t offset_;
  std::uint32_t rest_;
};

}  // namespace vhostx::net
