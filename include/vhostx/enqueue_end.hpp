// SPDX-License-Identifier: BSD-3-Clause
// Why a burst to a guest dealt with fewer packets than it was given.
#pragma once

#include <cstdint>

namespace vhostx {

/// Of the last burst to a guest that left packets; see Vring::enqueue_end().
enum class EnqueueEnd : std::uint8_t {
  not_running,  ///< The vring is stopped, disabled or broken. What waits for it is soon stale.
  no_buffers,   ///< The driver has no buffers posted. Any packet would have to wait.
  few_buffers,  ///< The driver has buffers posted, but the next packet takes more than all of them. It may fit in a
                ///< moment, or never: a driver need not fill its ring. Packets behind it might fit now.
  budget,       ///< The call has looked at as much of the ring as one call may: try again.
};

}  // namespace vhostx
