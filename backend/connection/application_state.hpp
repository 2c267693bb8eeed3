// SPDX-License-Identifier: BSD-3-Clause
// The application's own state of a guest, by the calls that it has given for that (PortOptions::save_state,
// load_state).
#pragma once

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

#include "backend/connection/state_record.hpp"

namespace vhostx::backend {

/// What save_state() returns; it is set. Errors: limit (more than state_bytes_max); invalid_argument: what it threw.
/// Control thread.
Result<StateRecord::Bytes> save_application(const PortOptions& options);

/// Passes the record's bytes to load_state(); nothing if it has none. Errors: unsupported (there is no load_state),
/// limit, and what load_state() returned or threw. Control thread.
Result<void> load_application(const PortOptions& options, const StateRecord& record);

}  // namespace vhostx::backend
