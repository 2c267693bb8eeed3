// SPDX-License-Identifier: BSD-3-Clause
// The application's own bytes, by the calls that it has given for them (PortOptions::save_state, load_state;
// BackendOptions::state).
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include <vhostx/result.hpp>

#include "backend/connection/state_record.hpp"

namespace vhostx::backend {

using SaveState = std::function<StateRecord::Bytes()>;
using LoadState = std::function<Result<void>(std::span<const std::byte>)>;

/// What `save` returns; it is set. Errors: limit (more than bytes_max); invalid_argument: what it threw. Control
/// thread.
Result<StateRecord::Bytes> save_application(const SaveState& save, std::uint32_t bytes_max);

/// Passes the record's bytes to `load`; nothing if it has none. Errors: unsupported (`load` is not set), limit, and
/// what it returned or threw. Control thread.
Result<void> load_application(const LoadState& load, std::uint32_t bytes_max, const StateRecord& record);

}  // namespace vhostx::backend
