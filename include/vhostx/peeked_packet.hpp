// SPDX-License-Identifier: BSD-3-Clause
// PeekedPacket: what a Transfer knows of a packet that is still in its sender's memory.
#pragma once

#include <vhostx/c/peeked_packet.h>
#include <vhostx/cxx20.hpp>

namespace vhostx {

/// A private copy of a packet's first bytes, and the packet's length. The type is that of the C interface.
using PeekedPacket = ::vhostx_peeked_packet;

}  // namespace vhostx
