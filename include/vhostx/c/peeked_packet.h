// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_peeked_packet: what a transfer knows of a packet that is still in its sender's memory. The C++ interface uses
/// the same type.
#pragma once

#include <stdint.h>

/// A private copy of a packet's first bytes, and the packet's length. Exactly these bytes are delivered, whatever the
/// guest writes to its own buffer meanwhile.
typedef struct vhostx_peeked_packet {
  uint8_t* head;         ///< The copy. It may be edited, e.g. the addresses: the edited bytes are delivered.
  uint32_t length;       ///< Bytes of the whole packet, 14 to 65597.
  uint16_t head_length;  ///< Bytes at `head`: the first 96 of the packet, or all if it has fewer; up to 256 if the
                         ///< guest requests offloads.
} vhostx_peeked_packet;
