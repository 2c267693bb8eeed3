// SPDX-License-Identifier: BSD-3-Clause
// VringCursor: what the device knows of a ring from burst to burst.
#pragma once

#include <cstdint>

#include <vhostx/enqueue_end.hpp>
#include <vhostx/vring_fault.hpp>

#include "memory/guest_memory.hpp"
#include "virtqueue/walk_budget.hpp"

namespace vhostx::virtqueue {

/// A word of the ring that changes when the driver makes something available, and its value while nothing is. For
/// waiting (monitor instructions).
struct Watch {
  const volatile std::uint16_t* word;
  std::uint16_t idle;
};

/// Where the device is in a ring: with the loans of a ring that lends, all that somebody else would need to go on. A
/// burst stores used entries, avail_next and used_next, and then used->idx, which is a release; used_signalled comes
/// after it. Nothing orders what comes before the release among itself.
struct RingPosition {
  std::uint16_t avail_next = 0;      ///< Next avail entry to look at; in a packed ring, a PackedPosition.
  std::uint16_t used_next = 0;       ///< Next used entry to write; likewise.
  std::uint16_t used_signalled = 0;  ///< used_next at the last notification decision (EVENT_IDX).
  bool signalled_valid = false;      ///< False after a start: the first decision is to call.
  bool notifications = false;        ///< Whether the driver should kick.

  /// What GET_VRING_BASE answers.
  std::uint16_t base() const noexcept { return avail_next; }
};

/// Belongs to the data thread; the control thread looks at it only while the gate is shut.
struct VringCursor {
  RingPosition position;
  std::uint8_t bad_heads = 0;                       ///< Heads out of range seen so far.
  EnqueueEnd enqueue_end = EnqueueEnd::no_buffers;  ///< Why the last burst to the guest left packets.
  VringFault fault;                                 ///< Why the ring is broken.
  std::uint64_t hint_serial = 0;                    ///< The snapshot that `hint` belongs to.
  memory::GuestMemory::Hint hint;
  WalkMeter meter;  ///< What walking its chains has cost.

  bool broken() const noexcept { return fault.cause != VringFaultCause::none; }
};

/// Heads out of range after which a ring is broken. A few are tolerated: only the driver loses a head that cannot be
/// returned.
inline constexpr std::uint8_t bad_heads_max = 8;

}  // namespace vhostx::virtqueue
