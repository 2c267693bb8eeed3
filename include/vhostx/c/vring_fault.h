// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Why a vring is broken: what the driver did, with the numbers it did it with.
#pragma once

#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// What a driver did. `a` and `b` are those of vhostx_vring_fault.
enum vhostx_fault_cause {
  VHOSTX_FAULT_NONE = 0,              ///< Nothing.
  VHOSTX_FAULT_AVAIL_INDEX_JUMP = 1,  ///< avail->idx ran ahead by more than the ring's size. a: avail->idx, b: next
                                      ///< expected.
  VHOSTX_FAULT_BAD_HEAD = 2,          ///< Too many head indices outside the table. a: head, b: ring size.
  VHOSTX_FAULT_BAD_NEXT = 3,          ///< descriptor.next outside its table. a: next, b: table length.
  VHOSTX_FAULT_CHAIN_TOO_LONG = 4,    ///< More descriptors than the ring's size, or a loop. a: descriptors walked, b:
                                      ///< the bound.
  VHOSTX_FAULT_BAD_INDIRECT = 5,      ///< Indirect table: length 0 or no multiple of 16, nested, with NEXT. a: length,
                                      ///< b: flags.
  VHOSTX_FAULT_INDIRECT_UNSUPPORTED = 6,  ///< Indirect descriptor although INDIRECT_DESC was not negotiated. a:
                                          ///< address, b: length.
  VHOSTX_FAULT_WRONG_DIRECTION = 7,       ///< Writable descriptor on a transmit ring, or readable on a receive ring. a:
                                          ///< address, b: flags.
  VHOSTX_FAULT_OUTSIDE_MEMORY = 8,  ///< Buffer or table that guest memory does not contain. a: guest address (of the
                                    ///< ring itself: the front-end's), b: length.
  VHOSTX_FAULT_FRUITLESS = 9        ///< Calls in a row that walked all the descriptors they may and moved no packet:
                                    ///< chains of empty descriptors. a: descriptors in the last call, b: calls in a
                                    ///< row.
};

/// The offending numbers, as the driver wrote them.
typedef struct vhostx_vring_fault {
  int cause;      ///< One of vhostx_fault_cause.
  uint16_t head;  ///< Head of the chain concerned, where there is one.
  uint64_t a;     ///< Its meaning stands beside each cause.
  uint64_t b;     ///< Its meaning stands beside each cause.
} vhostx_vring_fault;

/// Name of a cause as it stands in logs, e.g. "bad_next"; "unknown" for any other number. Any thread.
const char* vhostx_fault_cause_name(int cause);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
