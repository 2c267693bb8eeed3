// SPDX-License-Identifier: BSD-3-Clause
// SizeCounters: a vring's packets by size and destination, where the application wants them. Called behind a burst.
#pragma once

#include <cstdint>
#include <span>

#include <vhostx/packet_sizes.hpp>
#include <vhostx/peeked_packet.hpp>

#include "base/page_memory.hpp"
#include "net/counters.hpp"

struct rte_mbuf;

namespace vhostx::net {

/// What is counted of one packet.
struct SizeClass {
  std::uint8_t size = 0;         ///< One of the sizes of SizeCounter.
  std::uint8_t destination = 0;  ///< multicast or broadcast; 0: neither.
};
SizeClass size_class_of(const rte_mbuf& packet) noexcept;
SizeClass size_class_of(const PeekedPacket& packet) noexcept;

/// One thread counts, any thread may read and reset. In pages of its own, as all that a data thread writes each burst.
class SizeCounters : public InOwnPages {
 public:
  void count(SizeClass packet) noexcept;
  void count(std::span<rte_mbuf* const> packets) noexcept;

  PacketSizes snapshot() const noexcept { return {counters_.snapshot()}; }
  void reset() noexcept { counters_.reset(); }

 private:
  Counters<size_counter_count> counters_;
};

}  // namespace vhostx::net
