// SPDX-License-Identifier: BSD-3-Clause
// Why a burst to a guest handled fewer packets than it was given.
#pragma once

#include <cstdint>

#include <vhostx/cxx20.hpp>

namespace vhostx {

/// Why the last burst to a guest left packets; see Vring::enqueue_end().
enum class EnqueueEnd : std::uint8_t {
  not_running,  ///< The vring is stopped, disabled or broken. Waiting packets soon become stale.
  no_buffers,   ///< The driver has no buffers posted. Every packet has to wait.
  few_buffers,  ///< The driver has buffers posted, but the next packet needs more than all of them. It may fit soon or
                ///< never: a driver need not fill its ring. Packets behind it might fit now.
  budget,       ///< The call has looked at as much of the ring as one call may. Try again.
};

}  // namespace vhostx
