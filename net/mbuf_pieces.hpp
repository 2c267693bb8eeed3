// SPDX-License-Identifier: BSD-3-Clause
// Walks over a part of an mbuf chain, one contiguous piece after the other.
#pragma once

#include <algorithm>
#include <cstdint>

#include <rte_mbuf.h>

namespace vhostx::net {

/// Calls `use(bytes, count)` for each contiguous piece of `length` bytes from `offset` on, or of as many as there are.
/// The chain itself bounds the walk, not pkt_len.
template <typename Use>
void for_each_piece(const rte_mbuf* packet, std::uint32_t offset, std::uint32_t length, Use&& use) noexcept {
  for (; packet != nullptr && length != 0; packet = packet->next) {
    const std::uint32_t here = packet->data_len;
    if (offset >= here) {
      offset -= here;
      continue;
    }
    const std::uint32_t count = std::min(here - offset, length);
    use(rte_pktmbuf_mtod_offset(packet, std::uint8_t*, offset), count);
    length -= count;
    offset = 0;
  }
}

}  // namespace vhostx::net
