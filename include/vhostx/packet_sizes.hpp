// SPDX-License-Identifier: BSD-3-Clause
// Counters of a vring by packet size and destination. Off by default: PortOptions::count_sizes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <vhostx/cxx20.hpp>

namespace vhostx {

/// Kinds of packets that a vring counts with PortOptions::count_sizes. A packet has one of the sizes, in bytes without
/// the virtio-net header and without a frame check sequence, and may be one of the last two.
enum class SizeCounter : std::uint8_t {
  below_64,         ///< Below 64 bytes.
  size_64,          ///< 64 bytes.
  size_65_127,      ///< 65 to 127 bytes.
  size_128_255,     ///< 128 to 255 bytes.
  size_256_511,     ///< 256 to 511 bytes.
  size_512_1023,    ///< 512 to 1023 bytes.
  size_1024_1518,   ///< 1024 to 1518 bytes.
  size_above_1518,  ///< More than 1518 bytes: large segments, VLAN tags, a larger MTU.
  multicast,        ///< To a multicast address other than broadcast.
  broadcast,        ///< To the broadcast address.
  count_            ///< Number of counters.
};

/// Number of counters.
inline constexpr std::size_t size_counter_count = static_cast<std::size_t>(SizeCounter::count_);

/// Stable names of the counters, as in JSON, in the order of SizeCounter.
inline constexpr std::array<const char*, size_counter_count> size_counter_names{
    "below_64",      "size_64",        "size_65_127",     "size_128_255", "size_256_511",
    "size_512_1023", "size_1024_1518", "size_above_1518", "multicast",    "broadcast"};

/// A copy of these counters. Each value is exact, but the values of one copy may be a burst apart.
struct PacketSizes {
  std::array<std::uint64_t, size_counter_count> values{};  ///< In the order of SizeCounter.

  /// Value of one counter.
  std::uint64_t operator[](SizeCounter id) const noexcept { return values[static_cast<std::size_t>(id)]; }
};

}  // namespace vhostx
