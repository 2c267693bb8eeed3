// SPDX-License-Identifier: BSD-3-Clause
// Converts a Dict for DPDK's telemetry.
#pragma once

#include "telemetry/dict.hpp"

struct rte_tel_data;

namespace vhostx::telemetry {

/// Strings are cut after 127 bytes. Returns 0, or what DPDK's functions return: a negative errno.
int fill(rte_tel_data* out, const Dict& dict) noexcept;

}  // namespace vhostx::telemetry
