// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Counters of a vring by packet size and destination. Off by default: vhostx_port_options::count_sizes.
#pragma once

#include <stddef.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Kinds of packets that a vring counts with vhostx_port_options::count_sizes. A packet has one of the sizes, in bytes
/// without the virtio-net header and without a frame check sequence, and may be one of the last two.
enum vhostx_size_counter {
  VHOSTX_SIZE_BELOW_64 = 0,    ///< Below 64 bytes.
  VHOSTX_SIZE_64 = 1,          ///< 64 bytes.
  VHOSTX_SIZE_65_127 = 2,      ///< 65 to 127 bytes.
  VHOSTX_SIZE_128_255 = 3,     ///< 128 to 255 bytes.
  VHOSTX_SIZE_256_511 = 4,     ///< 256 to 511 bytes.
  VHOSTX_SIZE_512_1023 = 5,    ///< 512 to 1023 bytes.
  VHOSTX_SIZE_1024_1518 = 6,   ///< 1024 to 1518 bytes.
  VHOSTX_SIZE_ABOVE_1518 = 7,  ///< More than 1518 bytes: large segments, VLAN tags, a larger MTU.
  VHOSTX_SIZE_MULTICAST = 8,   ///< To a multicast address other than broadcast.
  VHOSTX_SIZE_BROADCAST = 9    ///< To the broadcast address.
};

/// Number of these counters that this library has. A later version may have more. Any thread.
size_t vhostx_size_counter_count(void);
/// Stable name of a counter, as in JSON, e.g. "size_65_127"; null if there is no such counter. A static string. Any
/// thread.
const char* vhostx_size_counter_name(size_t counter);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
