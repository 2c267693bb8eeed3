// SPDX-License-Identifier: BSD-3-Clause
// The bursts of net/enqueue.cpp for packed rings: see net/unit_context.hpp.
#define VHOSTX_PACKED_UNIT
#include "net/enqueue.cpp"
