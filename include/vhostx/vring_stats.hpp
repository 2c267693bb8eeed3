// SPDX-License-Identifier: BSD-3-Clause
// What a vring counted, by cause. The table below is the only list: tools print and export it as it stands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vhostx {

/// Counters of one vring since its Port was opened; they survive reconnection.
enum class VringCounter : std::uint8_t {
  packets,           ///< moved between guest and application
  bytes,             ///< of those packets, without the virtio-net header
  bursts,            ///< calls that moved at least one packet
  calls,             ///< bursts after which the driver wanted a notification, however it is sent
  drop_disabled,     ///< transmit ring started but disabled: consumed and dropped (vhost-user "Ring states")
  drop_bad_head,     ///< head index outside the descriptor table
  drop_bad_header,   ///< net header that contradicts the packet or what was negotiated
  drop_short_chain,  ///< transmitted chain shorter than the net header and an Ethernet header
  drop_too_large,    ///< larger than 64 KiB, the MTU, or the buffers that this driver posts
  drop_bad_offload,  ///< mbuf whose offload request its own headers contradict
  stall_no_mbuf,     ///< bursts cut short because the mempool was empty; the packets stay in the guest's ring
  stall_no_buffer,   ///< bursts cut short because the driver has no receive buffers posted
  short_buffers,     ///< receive chains that do not even hold the net header: given back empty, no packet is lost
  segmented,         ///< packets cut in software because the driver takes no such segmentation offload
  checksummed,       ///< checksums completed in software because the driver takes no partial ones
  moved,             ///< packets that a Transfer copied here from another guest; they count as `packets` too
  broken,            ///< times this vring was declared broken
  // Of a port with PortOptions::zero_copy. `packets` has all of these, too.
  lent,          ///< packets in the guest's own buffers: taken, or filled, without a copy
  copied_small,  ///< copied: smaller than PortOptions::copy_below
  copied_full,   ///< copied: PortOptions::loans_max was out
  copied_shape,  ///< copied: too many pieces, a checksum to write, or a pool whose mbufs cannot be attached
  overdue,       ///< loans that were still out when their ring had waited for them for PortOptions::loan_timeout

  stall_few_buffers,  ///< bursts cut short because a packet takes more buffers than the driver has posted
  count_              ///< How many there are.
};

/// How many counters there are.
inline constexpr std::size_t vring_counter_count = static_cast<std::size_t>(VringCounter::count_);

/// What is to be said of a counter.
struct VringCounterInfo {
  VringCounter id;   ///< Which.
  const char* name;  ///< Stable; used in JSON.
  bool is_drop;      ///< Packets that were lost here.
};

/// One row a counter, in the order of the enumeration.
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
}};

/// A copy of a vring's counters. Each value is exact; values of one copy may be a burst apart.
struct VringStats {
  std::array<std::uint64_t, vring_counter_count> values{};  ///< In the order of VringCounter.

  /// One of them.
  std::uint64_t operator[](VringCounter id) const noexcept { return values[static_cast<std::size_t>(id)]; }
  /// Packets that were lost, for whatever cause.
  std::uint64_t dropped() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& row : vring_counters)
      if (row.is_drop) sum += (*this)[row.id];
    return sum;
  }
};

}  // namespace vhostx
