// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Numbers of vrings and queue pairs. VIRTIO 1.2, 5.1.2: the virtqueues of pair N (from 0) are 2 * N, the guest's
/// receive queue, and 2 * N + 1, its transmit queue. The specification's names count from 1: receiveq1 and transmitq1
/// are pair 0.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Index of the vring that carries packets to the guest in queue pair `pair`, 0 to 32767: the guest's receive queue,
/// into which the application transmits.
static inline uint16_t vhostx_to_guest_index(uint16_t pair) { return (uint16_t)(2U * pair); }
/// Index of the vring that carries packets from the guest in queue pair `pair`, 0 to 32767: the guest's transmit queue,
/// from which the application receives.
static inline uint16_t vhostx_from_guest_index(uint16_t pair) { return (uint16_t)(2U * pair + 1U); }
/// The queue pair to which the vring with this index belongs.
static inline uint16_t vhostx_queue_pair_of(uint16_t index) { return (uint16_t)(index / 2U); }
/// Whether the vring with this index carries packets from the guest; else it carries packets to the guest.
static inline bool vhostx_is_from_guest(uint16_t index) { return (index & 1U) != 0; }

#ifdef __cplusplus
}
#endif
