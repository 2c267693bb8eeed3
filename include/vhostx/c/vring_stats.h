// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// What a vring counted, by cause.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Counters of one vring since its port was opened; they survive reconnection.
enum vhostx_counter {
  VHOSTX_COUNTER_PACKETS = 0,           ///< Moved between guest and application.
  VHOSTX_COUNTER_BYTES = 1,             ///< Of those packets, without the virtio-net header.
  VHOSTX_COUNTER_BURSTS = 2,            ///< Calls that moved at least one packet.
  VHOSTX_COUNTER_CALLS = 3,             ///< Bursts after which the driver wanted a notification, however it is sent.
  VHOSTX_COUNTER_DROP_DISABLED = 4,     ///< Transmit ring started but disabled: consumed and dropped.
  VHOSTX_COUNTER_DROP_BAD_HEAD = 5,     ///< Head index outside the descriptor table.
  VHOSTX_COUNTER_DROP_BAD_HEADER = 6,   ///< Net header that contradicts the packet or what was negotiated.
  VHOSTX_COUNTER_DROP_SHORT_CHAIN = 7,  ///< Transmitted chain shorter than the net header and an Ethernet header.
  VHOSTX_COUNTER_DROP_TOO_LARGE = 8,    ///< Larger than 64 KiB, the MTU, or the buffers that this driver posts.
  VHOSTX_COUNTER_DROP_BAD_OFFLOAD = 9,  ///< mbuf whose offload request its own headers contradict.
  VHOSTX_COUNTER_STALL_NO_MBUF = 10,    ///< Bursts cut short because the mempool was empty; the packets stay in the
                                        ///< guest's ring.
  VHOSTX_COUNTER_STALL_NO_BUFFER = 11,  ///< Bursts cut short because the driver has no receive buffers posted.
  VHOSTX_COUNTER_SHORT_BUFFERS = 12,    ///< Receive chains that do not even hold the net header: given back empty, no
                                        ///< packet is lost.
  VHOSTX_COUNTER_SEGMENTED = 13,    ///< Packets cut in software because the driver takes no such segmentation offload.
  VHOSTX_COUNTER_CHECKSUMMED = 14,  ///< Checksums completed in software because the driver takes no partial ones.
  VHOSTX_COUNTER_MOVED = 15,        ///< Packets that a transfer copied here from another guest; they count as packets
                                    ///< too.
  VHOSTX_COUNTER_BROKEN = 16,       ///< Times this vring was declared broken.
  VHOSTX_COUNTER_LENT = 17,  ///< Zero copy: packets in the guest's own buffers, taken, or filled, without a copy.
  VHOSTX_COUNTER_COPIED_SMALL = 18,  ///< Zero copy: copied, smaller than vhostx_port_options::copy_below.
  VHOSTX_COUNTER_COPIED_FULL = 19,   ///< Zero copy: copied, vhostx_port_options::loans_max was out.
  VHOSTX_COUNTER_COPIED_SHAPE = 20,  ///< Zero copy: copied, too many pieces, a checksum to write, or a pool whose mbufs
                                     ///< cannot be attached.
  VHOSTX_COUNTER_OVERDUE = 21,       ///< Loans that were still out when their ring had waited for them for
                                     ///< vhostx_port_options::loan_timeout_ms.
  VHOSTX_COUNTER_STALL_FEW_BUFFERS = 22  ///< Bursts cut short because a packet takes more buffers than the driver has
                                         ///< posted.
};

/// How many counters this library has. One of a later version may have more. Any thread.
size_t vhostx_counter_count(void);
/// Name of a counter, as in JSON, e.g. "drop_too_large"; null where there is no such counter. Any thread.
const char* vhostx_counter_name(size_t counter);
/// Whether packets that it counts were lost. Any thread.
bool vhostx_counter_is_drop(size_t counter);
/// Sum of those of the first `count` values that count lost packets. Any thread.
uint64_t vhostx_counters_dropped(const uint64_t* values, size_t count);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
