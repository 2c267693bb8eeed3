// SPDX-License-Identifier: BSD-3-Clause
// UnitContext: the kind of ring that a source file's bursts are compiled for. Those for packed rings are the same text
// in files of their own (net/packed_dequeue.cpp and others), so that the compiler decides on those for split rings as
// if there were no others.
#pragma once

#include "net/ring_context.hpp"

namespace vhostx::net {

#ifdef VHOSTX_PACKED_UNIT
using UnitContext = PackedContext;
#else
using UnitContext = SplitContext;
#endif

}  // namespace vhostx::net
