// SPDX-License-Identifier: BSD-3-Clause
#include "net/rarp.hpp"

#include <algorithm>

#include <rte_mbuf.h>

namespace vhostx::net {
namespace {

constexpr std::size_t rarp_bytes = 14 + 8;  // Ethernet header and the fixed part: what follows are addresses

constexpr std::array<std::uint8_t, rarp_bytes> frame_start{
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  // to everybody
    0,    0,    0,    0,    0,    0,     // from the guest's address, filled in
    0x80, 0x35,                          // RARP
    0,    1,    8,    0,    6,    4,     // Ethernet, IPv4, their address lengths
    0,    3,                             // request reverse
};

}  // namespace

void write_rarp(std::uint8_t* frame, const std::array<std::uint8_t, 6>& mac) noexcept {
  std::fill_n(frame, rarp_frame_bytes, std::uint8_t{0});
  std::copy(frame_start.begin(), frame_start.end(), frame);
  std::copy(mac.begin(), mac.end(), frame + 6);
  std::copy(mac.begin(), mac.end(), frame + 22);  // sender hardware address
  std::copy(mac.begin(), mac.end(), frame + 32);  // target hardware address
}

rte_mbuf* make_rarp(rte_mempool* pool, const std::array<std::uint8_t, 6>& mac) noexcept {
  rte_mbuf* packet = rte_pktmbuf_alloc(pool);
  if (packet == nullptr) return nullptr;
  auto* frame = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(packet, rarp_frame_bytes));
  if (frame == nullptr) {
    rte_pktmbuf_free(packet);
    return nullptr;
  }
  write_rarp(frame, mac);
  return packet;
}

}  // namespace vhostx::net
