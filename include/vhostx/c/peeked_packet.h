// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_peeked_packet: what a transfer knows of a packet that still lies in its sender's memory. The C++ interface
/// uses this very type: what a switch looks at is nowhere converted.
#pragma once

#include <stdint.h>

/// A private copy of a packet's first bytes. It is what is decided on and it is what is delivered, whatever the guest
/// does to its own buffer meanwhile.
typedef struct vhostx_peeked_packet {
  uint8_t* head;         ///< May be edited (addresses, say): what stands here is delivered.
  uint32_t length;       ///< Bytes in the whole packet, 14 to 65,597.
  uint16_t head_length;  ///< Bytes at `head`: the packet's first 96, or all if it has fewer; up to 256 where the guest
                         ///< asks for offloads.
} vhostx_peeked_packet;
