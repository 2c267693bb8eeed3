// SPDX-License-Identifier: BSD-3-Clause
// PeekedPacket: what a Transfer knows of a packet that still lies in its sender's memory.
#pragma once

#include <cstdint>

namespace vhostx {

/// A private copy of a packet's first bytes. It is what is decided on and it is what is delivered, whatever the guest
/// does to its own buffer meanwhile.
struct PeekedPacket {
  std::uint8_t* head;         ///< May be edited (addresses, say): what stands here is delivered.
  std::uint32_t length;       ///< Bytes in the whole packet, 14 to 65,597.
  std::uint16_t head_length;  ///< Bytes at `head`: the packet's first 96, or all if it has fewer; up to 256 where
                              ///< the guest asks for offloads.
};

}  // namespace vhostx
