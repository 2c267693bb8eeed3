// SPDX-License-Identifier: BSD-3-Clause
// PeekedPacket: what a Transfer knows of a packet that still lies in its sender's memory.
#pragma once

#include <vhostx/c/peeked_packet.h>

namespace vhostx {

/// A private copy of a packet's first bytes, and its length. The C interface has the same, so that nothing is
/// converted.
using PeekedPacket = ::vhostx_peeked_packet;

}  // namespace vhostx
