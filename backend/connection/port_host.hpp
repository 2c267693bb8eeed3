// SPDX-License-Identifier: BSD-3-Clause
// What a session and its device have of their port.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

#include "backend/ring/ring_control.hpp"
#include "backend/ring/vring_core.hpp"
#include "base/event_fd.hpp"
#include "base/logger.hpp"
#include "base/releases.hpp"
#include "memory/first_touch.hpp"

namespace vhostx::backend {

/// What is there before a port's first connection, and what all of them share.
struct PortParts {
  const PortOptions options;
  const Logger log;
  const std::uint64_t memory_bytes_max;  ///< PortOptions::memory_bytes_max, or what it is by default on this machine.
  const std::shared_ptr<memory::TouchBudget> touch_budget;  ///< Null: nothing is counted.
  /// Signalled when a vring (VringCore::Attention) or lost memory needs the control thread. Data threads write it, and
  /// memory that outlives the port holds it.
  const std::shared_ptr<const EventFd> attention;
  const std::shared_ptr<SlowSignals> signals;
  const std::shared_ptr<Releases> releases;  ///< Of all that this port's peers bring.
  std::vector<std::unique_ptr<VringCore>> vrings;

  /// So much may wait to be released. A session's own descriptors, and those of one before it: the socket, that for
  /// back-end requests, and three a vring.
  std::uint32_t pending_max() const noexcept { return 64 + 4 * static_cast<std::uint32_t>(vrings.size()); }
  /// Whether so much waits that the front-end has to wait as well.
  bool is_crowded() const noexcept { return releases->pending() > pending_max(); }
};

/// What they have it do.
class PortHost : public RingPort {
 public:
  /// What info() and memory_placement() answer from now on.
  virtual void publish_info() noexcept = 0;
  /// The session took a message: what it emitted is delivered. The session may be gone afterwards.
  virtual void turn_done() noexcept = 0;
  /// Stops the vrings and drops the session, with which the call may come. Where loans are out it lingers for them.
  virtual void end_session(Error reason) noexcept = 0;
  /// A session that lingered has its loans back, or has waited long enough, or has to make room.
  virtual void finish_session() noexcept = 0;
  /// After something that loans may outlive.
  virtual void look_after_loans() = 0;
  /// DmaMemory of a new table. Null: mbufs keep too many older ones alive, or there is no memory.
  virtual std::shared_ptr<const zerocopy::DmaMemory> map_for_devices(std::shared_ptr<const memory::GuestMemory> memory,
                                                                     const zerocopy::DmaMemory* before) noexcept = 0;

 protected:
  ~PortHost() = default;
};

}  // namespace vhostx::backend
