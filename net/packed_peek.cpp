// SPDX-License-Identifier: BSD-3-Clause
// The bursts of net/peek.cpp for packed rings: see net/unit_context.hpp.
#define VHOSTX_PACKED_UNIT
#include "net/peek.cpp"
