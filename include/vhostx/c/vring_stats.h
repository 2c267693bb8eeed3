// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Counters of a vring, by cause.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Counters of one vring since its port was opened or vhostx_vring_reset_stats() was called. A reconnection does not
/// reset them.
enum vhostx_counter {
  VHOSTX_COUNTER_PACKETS = 0,          ///< Packets moved between guest and application.
  VHOSTX_COUNTER_BYTES = 1,            ///< Bytes of those packets, without the virtio-net header.
  VHOSTX_COUNTER_BURSTS = 2,           ///< Calls that moved at least one packet.
  VHOSTX_COUNTER_CALLS = 3,            ///< Bursts after which the driver wanted a notification, however it is sent
                                       ///< (also when held).
  VHOSTX_COUNTER_DROP_DISABLED = 4,    ///< Packets consumed and dropped on a transmit ring that is disabled (vhost-user
                                       ///< "Ring states").
  VHOSTX_COUNTER_DROP_BAD_HEAD = 5,    ///< Head index outside the descriptor table.
  VHOSTX_COUNTER_DROP_BAD_HEADER = 6,  ///< Net header that contradicts the packet or the negotiated features.
  VHOSTX_COUNTER_DROP_SHORT_CHAIN = 7,  ///< Transmitted chain shorter than the net header and an Ethernet header.
  VHOSTX_COUNTER_DROP_TOO_LARGE = 8,  ///< Larger than 64 KiB, the MTU, or the buffers that this driver posts, or spread
                                      ///< over too many pages.
  VHOSTX_COUNTER_DROP_BAD_OFFLOAD = 9,  ///< mbuf whose offload request its own headers contradict.
  VHOSTX_COUNTER_STALL_NO_MBUF = 10,    ///< Bursts cut short because the mempool was empty; the packets stay in the
                                        ///< guest's ring.
  VHOSTX_COUNTER_STALL_NO_BUFFER = 11,  ///< Bursts cut short because the driver has no receive buffers posted.
  VHOSTX_COUNTER_SHORT_BUFFERS = 12,    ///< Receive chains too short for the net header: returned empty, no packet is
                                        ///< lost.
  VHOSTX_COUNTER_SEGMENTED = 13,        ///< Packets segmented in software, because the driver did not negotiate that
                                        ///< segmentation offload.
  VHOSTX_COUNTER_CHECKSUMMED = 14,  ///< Checksums completed in software, because the driver did not negotiate partial
                                    ///< ones.
  VHOSTX_COUNTER_MOVED = 15,        ///< Packets that a transfer copied here from another guest; VHOSTX_COUNTER_PACKETS
                                    ///< includes them.
  VHOSTX_COUNTER_BROKEN = 16,       ///< Times that the driver broke this vring (VHOSTX_VRING_BROKEN).
  VHOSTX_COUNTER_LENT = 17,  ///< Zero copy: packets lent or committed in the guest's own buffers, without a copy.
  VHOSTX_COUNTER_COPIED_SMALL = 18,       ///< Zero copy: copied because smaller than vhostx_port_options::copy_below.
  VHOSTX_COUNTER_COPIED_FULL = 19,        ///< Zero copy: copied because the most loans allowed were out
                                          ///< (vhostx_port_options::loans_max).
  VHOSTX_COUNTER_COPIED_SHAPE = 20,       ///< Zero copy: copied because of too many or too small pieces, a checksum to
                                          ///< write, or mbufs that cannot be attached or committed.
  VHOSTX_COUNTER_OVERDUE = 21,            ///< Loans still out after their ring had waited
                                          ///< vhostx_port_options::loan_timeout_ms for them.
  VHOSTX_COUNTER_STALL_FEW_BUFFERS = 22,  ///< Bursts cut short because a packet takes more buffers than the driver has
                                          ///< posted.
  VHOSTX_COUNTER_STALL_BAD_POOL = 23  ///< Bursts that did nothing because of the mempool: null, not of mbufs, or mbufs
                                      ///< without room for a packet (borrow: that cannot be attached). The log says
                                      ///< which.
};

/// Number of counters that this library has. A later version may have more. Any thread.
size_t vhostx_counter_count(void);
/// Stable name of a counter, as in JSON, e.g. "drop_too_large"; null if there is no such counter. A static string. Any
/// thread.
const char* vhostx_counter_name(size_t counter);
/// Whether a counter counts lost packets. Any thread.
bool vhostx_counter_is_drop(size_t counter);
/// Packets lost, for all causes: the sum over the first `count` values of those counters. Any thread.
uint64_t vhostx_counters_dropped(const uint64_t* values, size_t count);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
