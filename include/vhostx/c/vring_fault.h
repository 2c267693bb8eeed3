// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Why a vring is broken: what the driver did, with the numbers that it used.
#pragma once

#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// What a driver did. `a` and `b` are the members of vhostx_vring_fault.
enum vhostx_fault_cause {
  VHOSTX_FAULT_NONE = 0,              ///< No fault.
  VHOSTX_FAULT_AVAIL_INDEX_JUMP = 1,  ///< avail->idx ran ahead by more than the ring's size. a: avail->idx, b: next
                                      ///< expected.
  VHOSTX_FAULT_BAD_HEAD = 2,          ///< The eighth head index outside the descriptor table since the ring started. a:
                                      ///< head, b: ring size.
  VHOSTX_FAULT_BAD_NEXT = 3,          ///< descriptor.next outside its table. a: next, b: table length.
  VHOSTX_FAULT_CHAIN_TOO_LONG = 4,    ///< More descriptors than the ring's size, or a loop. a: descriptors walked, b:
                                      ///< the bound.
  VHOSTX_FAULT_BAD_INDIRECT = 5,  ///< Indirect table whose length is 0 or not a multiple of 16, nested, or with NEXT.
                                  ///< a: length, b: flags.
  VHOSTX_FAULT_INDIRECT_UNSUPPORTED = 6,  ///< Indirect descriptor although INDIRECT_DESC was not negotiated. a:
                                          ///< address, b: length.
  VHOSTX_FAULT_WRONG_DIRECTION = 7,       ///< Writable descriptor on a transmit ring, or readable on a receive ring. a:
                                          ///< address, b: flags.
  VHOSTX_FAULT_OUTSIDE_MEMORY = 8,  ///< Buffer or table that is not in guest memory. a: guest address (for the ring
                                    ///< itself, the front-end's address of its descriptor table), b: length in bytes.
  VHOSTX_FAULT_FRUITLESS = 9        ///< Calls that walked all the descriptors that a call may and moved no packet:
                                    ///< chains of empty descriptors. a: descriptors in the last call, b: number of
                                    ///< calls.
};

/// A fault, with the numbers as the driver wrote them. Their meaning is given at each cause.
typedef struct vhostx_vring_fault {
  int cause;      ///< One of vhostx_fault_cause.
  uint16_t head;  ///< Head index of the chain; 0 where there is none.
  uint64_t a;     ///< First number of the cause.
  uint64_t b;     ///< Second number of the cause.
} vhostx_vring_fault;

/// Name of a cause in logs, e.g. "bad_next"; "unknown" for any other number. A static string. Any thread.
const char* vhostx_fault_cause_name(int cause);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
