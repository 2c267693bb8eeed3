// SPDX-License-Identifier: BSD-3-Clause
// Says to systemd that the service is ready (sd_notify(3)).
#pragma once

namespace vhostx::tools::keeper {

/// Sends READY=1 to the socket that NOTIFY_SOCKET names; nothing where it is not set. Never waits.
void notify_ready() noexcept;

}  // namespace vhostx::tools::keeper
