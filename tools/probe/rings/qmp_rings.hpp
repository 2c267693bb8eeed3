// SPDX-License-Identifier: BSD-3-Clause
// The rings of QEMU's vhost devices, asked of its monitor. QEMU (since 7.2, qapi/virtio.json) says where they are in
// its own memory, so that nothing has to stand between it and the back-end.
#pragma once

#include <vector>

#include <vhostx/result.hpp>

#include "tools/probe/rings/qmp_client.hpp"
#include "tools/probe/rings/ring_facts.hpp"

namespace vhostx::tools::probe {

/// Asks nothing that reaches the back-end. x-query-virtio-queue-status does: for the queues of QEMU's vhost device QEMU
/// sends GET_VRING_BASE to fill in last-avail-idx, which stops the ring (vhost-user, "Starting and stopping rings"),
/// and waits for the back-end meanwhile. So it is asked for no queue that x-query-virtio-vhost-queue-status knows.
///
/// One connection for each vhost device that a driver has started; none is no error. Addresses are those of QEMU's
/// process. QEMU does not say which rings are enabled: all that the driver has set up count as such. Errors: those of
/// execute(); unsupported too where QEMU is older.
Result<std::vector<ConnectionFacts>> ask_rings(QmpClient& qmp);

}  // namespace vhostx::tools::probe
