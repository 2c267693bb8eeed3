// SPDX-License-Identifier: BSD-3-Clause
// DeviceState: moves what this back-end knows of a guest to or from its front-end (vhost-user "Migrating back-end
// state"): SET_DEVICE_STATE_FD begins, and CHECK_DEVICE_STATE ends it.
//
// The channel is a file in memory of our own, as the specification allows: "The back-end may create a different
// transfer channel". The front-end's is not used: it would be a pipe, and whoever holds one of its ends can hold its
// lock in the kernel for ever (a write() from a page that never comes), with which our read(), also a non-blocking one,
// waits. What is saved lies in the file before the front-end gets it, and what is loaded is read once the front-end
// says that it has written all. So nothing here waits.
#pragma once

#include <cstddef>
#include <optional>

#include <vhostx/result.hpp>

#include "backend/connection/port_host.hpp"
#include "backend/connection/state_record.hpp"
#include "base/unique_fd.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::backend {

/// Control thread. A new transfer takes the place of the one before.
class DeviceState {
 public:
  explicit DeviceState(const PortParts& parts);

  /// Returns the front-end's end of the channel. Calls PortOptions::save_state when the state is to be saved. Errors:
  /// protocol_violation (what is asked for), limit (larger than allowed), system, and whatever save_state threw.
  Result<UniqueFd> begin(const protocol::DeviceState& what);

  /// What became of the last transfer. The first call after a load checks the record and loads it: all or nothing.
  Result<void> check();

 private:
  using Bytes = StateRecord::Bytes;

  Result<UniqueFd> begin_saving();
  Result<UniqueFd> begin_loading();
  Result<UniqueFd> new_file() const;
  Result<StateRecord> record() const;
  Result<Bytes> read(const UniqueFd& file) const;
  Result<void> load(const UniqueFd& file) const;
  Result<void> load(const StateRecord& record) const;

  const PortParts& parts_;
  UniqueFd loading_;  // the file into which the front-end writes; empty: nothing is to be loaded
  Result<void> outcome_;
};

}  // namespace vhostx::backend
