// SPDX-License-Identifier: BSD-3-Clause
// Whether the options of a port can be.
#pragma once

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx::backend {

/// Error: invalid_argument: which option, its value, its range.
Result<void> check_options(const PortOptions& options);

}  // namespace vhostx::backend
