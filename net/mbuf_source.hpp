// SPDX-License-Identifier: BSD-3-Clause
// MbufSource: a PacketSource of the application's mbufs.
#pragma once

#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

#include "net/copy.hpp"
#include "net/offload_to_guest.hpp"
#include "net/ring_counters.hpp"

namespace vhostx::net {

struct MbufSource {
  using Packets = rte_mbuf* const*;

  static const rte_mbuf& at(Packets packets, std::size_t i) noexcept { return *packets[i]; }
  static bool is_plain(const rte_mbuf& packet, std::uint32_t length_max) noexcept {
    return !may_need_offload(packet.ol_flags) && packet.nb_segs == 1 && packet.data_len <= length_max;
  }
  static std::uint32_t length(const rte_mbuf& packet) noexcept { return packet.data_len; }
  static std::uint64_t flags(const rte_mbuf& packet) noexcept { return packet.ol_flags; }
  template <typename BeforeLongCopy>
  [[gnu::always_inline]] static void copy(const rte_mbuf& packet, std::uint8_t* to, std::uint32_t bytes,
                                          BeforeLongCopy before_long_copy) noexcept {
    copy_packet(to, rte_pktmbuf_mtod(&packet, const std::uint8_t*), bytes, before_long_copy);
  }
  static void copy(const rte_mbuf& packet, std::uint8_t* to, std::uint32_t bytes) noexcept {
    copy_packet(to, rte_pktmbuf_mtod(&packet, const std::uint8_t*), bytes);
  }
  static void prefetch_rest(Packets, std::size_t) noexcept {}  // the application has just had it
  static const rte_mbuf& whole(Packets packets, std::size_t i, std::uint64_t) noexcept { return *packets[i]; }
  static void count(RingCounters&, std::uint64_t) noexcept {}
};

}  // namespace vhostx::net
