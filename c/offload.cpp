// SPDX-License-Identifier: BSD-3-Clause
#include <vhostx/c/offload.h>
#include <vhostx/offload.hpp>

bool vhostx_to_transmit_offload(rte_mbuf* packet) { return vhostx::to_transmit_offload(packet); }
