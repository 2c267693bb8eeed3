// SPDX-License-Identifier: BSD-3-Clause
// Whether the options of a port, and of a back-end's state, can be.
#pragma once

#include <cstdint>

#include <vhostx/backend.hpp>
#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx::backend {

/// With listen_fd: sets socket_path to what that is bound to. Error: invalid_argument: what it is, or that they differ.
Result<void> name_listening_socket(PortOptions& options);

/// Error: invalid_argument: which option, its value, its range.
Result<void> check_options(const PortOptions& options);

/// The same for BackendOptions::state.
Result<void> check_options(const KeptState& state);

/// PortOptions::memory_bytes_max, or where that is 0 what it says. Reads a few files then.
std::uint64_t memory_bytes_max(const PortOptions& options);

}  // namespace vhostx::backend
