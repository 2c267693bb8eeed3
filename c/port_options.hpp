// SPDX-License-Identifier: BSD-3-Clause
// Converts a port's options from C to C++ and back.
#pragma once

#include <vhostx/c/port.h>
#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx::c {

/// Null, or what an older or newer program has: see read_options(). Errors: invalid_argument (an enumeration; all else
/// Backend::open_port() checks), unsupported.
Result<PortOptions> options_of(const vhostx_port_options* given);

/// `socket_path` is that of `options`.
vhostx_port_options options_for_c(const PortOptions& options) noexcept;

}  // namespace vhostx::c
