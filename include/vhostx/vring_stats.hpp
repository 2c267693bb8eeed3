// SPDX-License-Identifier: BSD-3-Clause
// Counters of a vring, by cause. The table below is the only list: tools print and export it unchanged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <vhostx/cxx20.hpp>

namespace vhostx {

/// Counters of one vring since its Port was opened or Vring::reset_stats() was called. A reconnection does not reset
/// them.
enum class VringCounter : std::uint8_t {
  packets,           ///< packets moved between guest and application
  bytes,             ///< bytes of those packets, without the virtio-net header
  bursts,            ///< calls that moved at least one packet
  calls,             ///< bursts after which the driver wanted a notification, however it is sent (also when held)
  drop_disabled,     ///< packets consumed and dropped on a transmit ring that is disabled (vhost-user "Ring states")
  drop_bad_head,     ///< head index outside the descriptor table
  drop_bad_header,   ///< net header that contradicts the packet or the negotiated features
  drop_short_chain,  ///< transmitted chain shorter than the net header and an Ethernet header
  drop_too_large,    ///< larger than 64 KiB, the MTU, or the buffers that this driver posts, or spread over too many
                     ///< pages
  drop_bad_offload,  ///< mbuf whose offload request its own headers contradict
  stall_no_mbuf,     ///< bursts cut short because the mempool was empty; the packets stay in the guest's ring
  stall_no_buffer,   ///< bursts cut short because the driver has no receive buffers posted
  short_buffers,     ///< receive chains too short for the net header: returned empty, no packet is lost
  segmented,         ///< packets segmented in software, because the driver did not negotiate that segmentation offload
  checksummed,       ///< checksums completed in software, because the driver did not negotiate partial ones
  moved,             ///< packets that a Transfer copied here from another guest; `packets` includes them
  broken,            ///< times that the driver broke this vring (VringState::broken)
  // On a port with PortOptions::zero_copy. `packets` includes all of these except `overdue`.
  lent,          ///< packets lent or committed in the guest's own buffers, without a copy
  copied_small,  ///< copied because smaller than PortOptions::copy_below
  copied_full,   ///< copied because the most loans allowed were out (PortOptions::loans_max)
  copied_shape,  ///< copied because of too many or too small pieces, a checksum to write, or mbufs that cannot be
                 ///< attached or committed
  overdue,       ///< loans still out after their ring had waited PortOptions::loan_timeout for them

  stall_few_buffers,  ///< bursts cut short because a packet takes more buffers than the driver has posted
  stall_bad_pool,     ///< bursts that did nothing because of the mempool: null, not of mbufs, or mbufs without room for
                      ///< a packet (borrow_burst: that cannot be attached); the log says which
  count_              ///< Number of counters.
};

/// Number of counters.
inline constexpr std::size_t vring_counter_count = static_cast<std::size_t>(VringCounter::count_);

/// Description of a counter.
struct VringCounterInfo {
  VringCounter id;   ///< The counter.
  const char* name;  ///< Stable name, as in JSON.
  bool is_drop;      ///< Whether it counts lost packets.
};

/// One row per counter, in the order of the enumeration.
inline constexpr std::array<VringCounterInfo, vring_counter_count> vring_counters{{
    {VringCounter::packets, "packets", false},
    {VringCounter::bytes, "bytes", false},
    {VringCounter::bursts, "bursts", false},
    {VringCounter::calls, "calls", false},
    {VringCounter::drop_disabled, "drop_disabled", true},
    {VringCounter::drop_bad_head, "drop_bad_head", true},
    {VringCounter::drop_bad_header, "drop_bad_header", true},
    {VringCounter::drop_short_chain, "drop_short_chain", true},
    {VringCounter::drop_too_large, "drop_too_large", true},
    {VringCounter::drop_bad_offload, "drop_bad_offload", true},
    {VringCounter::stall_no_mbuf, "stall_no_mbuf", false},
    {VringCounter::stall_no_buffer, "stall_no_buffer", false},
    {VringCounter::short_buffers, "short_buffers", false},
    {VringCounter::segmented, "segmented", false},
    {VringCounter::checksummed, "checksummed", false},
    {VringCounter::moved, "moved", false},
    {VringCounter::broken, "broken", false},
    {VringCounter::lent, "lent", false},
    {VringCounter::copied_small, "copied_small", false},
    {VringCounter::copied_full, "copied_full", false},
    {VringCounter::copied_shape, "copied_shape", false},
    {VringCounter::overdue, "overdue", false},
    {VringCounter::stall_few_buffers, "stall_few_buffers", false},
    {VringCounter::stall_bad_pool, "stall_bad_pool", false},
}};

/// A copy of a vring's counters. Each value is exact, but the values of one copy may be a burst apart.
struct VringStats {
  std::array<std::uint64_t, vring_counter_count> values{};  ///< In the order of VringCounter.

  /// Value of one counter.
  std::uint64_t operator[](VringCounter id) const noexcept { return values[static_cast<std::size_t>(id)]; }
  /// Adds the counters of another vring.
  VringStats& operator+=(const VringStats& other) noexcept {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += other.values[i];
    return *this;
  }
  /// Packets lost, for all causes.
  std::uint64_t dropped() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& row : vring_counters)
      if (row.is_drop) sum += (*this)[row.id];
    return sum;
  }
};

}  // namespace vhostx
