// SPDX-License-Identifier: BSD-3-Clause
// Requests: from a command's parameters to its answer.
#pragma once

#include <string_view>

#include <vhostx/result.hpp>

#include "telemetry/dict.hpp"
#include "telemetry/registry.hpp"

namespace vhostx::telemetry {

/// What DPDK 22.11 sends of an answer, less room for what is around it. It leaves out silently what is more.
inline constexpr std::size_t answer_bytes_max = 14 * 1024;
/// Entries of an answer besides those that name what it is about: DPDK takes 256.
inline constexpr std::size_t answer_entries_max = 240;

/// `parameters` is what stands behind the command and a comma; empty: nothing. Errors: invalid_argument. They throw
/// std::bad_alloc alone.
using Request = Result<Dict>(const Registry& registry, std::string_view parameters);
Request list_ports;   // [FIRST]
Request tell_port;    // NAME
Request tell_vring;   // NAME,INDEX
Request tell_memory;  // NAME[,FIRST]
Request tell_numa;    // NAME[,FIRST]

}  // namespace vhostx::telemetry
