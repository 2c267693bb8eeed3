// SPDX-License-Identifier: BSD-3-Clause
// Requests: make the answer to a command from its parameters.
#pragma once

#include <string_view>

#include <vhostx/result.hpp>

#include "telemetry/dict.hpp"
#include "telemetry/registry.hpp"

namespace vhostx::telemetry {

/// The size of an answer that DPDK 22.11 sends, less room for what it adds. It silently drops the rest.
inline constexpr std::size_t answer_bytes_max = std::size_t{14} * 1024;
/// Entries of an answer, besides those that name its subject. DPDK accepts 256.
inline constexpr std::size_t answer_entries_max = 240;

/// `parameters` is the text after the command and a comma; may be empty. Errors: invalid_argument. They throw only
/// std::bad_alloc.
using Request = Result<Dict>(const Registry& registry, std::string_view parameters);
Request list_ports;   // [FIRST]
Request tell_port;    // NAME
Request tell_vring;   // NAME,INDEX
Request tell_memory;  // NAME[,FIRST]
Request tell_numa;    // NAME[,FIRST]

}  // namespace vhostx::telemetry
