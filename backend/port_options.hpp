// SPDX-License-Identifier: BSD-3-Clause
// Whether the options of a port can be.
#pragma once

#include <cstdint>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx::backend {

/// Error: invalid_argument: which option, its value, its range.
Result<void> check_options(const PortOptions& options);

/// PortOptions::memory_bytes_max, or where that is 0 what it says. Reads a few files then.
std::uint64_t memory_bytes_max(const PortOptions& options);

}  // namespace vhostx::backend
