// SPDX-License-Identifier: BSD-3-Clause
// Converts events for C.
#pragma once

#include <optional>
#include <string>

#include <vhostx/c/events.h>
#include <vhostx/events.hpp>

#include "c/placement.hpp"

namespace vhostx::c {

/// A vhostx_event with all that it points to, except what is in the C++ event, which must outlive it. No event is lost
/// without memory: the text is then the event's name, and a placement is one of which nothing is known.
class EventView {
 public:
  explicit EventView(const PortEvent& from) noexcept;
  EventView(const EventView&) = delete;
  EventView& operator=(const EventView&) = delete;

  const vhostx_event& event() const noexcept { return event_; }

 private:
  void fill(const FrontEndConnected& from) noexcept;
  void fill(const FrontEndDisconnected& from) noexcept;
  void fill(const FeaturesNegotiated& from) noexcept;
  void fill(const MemoryChanged& from) noexcept;
  void fill(const VringStarted& from) noexcept;
  void fill(const VringStopped& from) noexcept;
  void fill(const VringEnabled& from) noexcept;
  void fill(const VringBroken& from) noexcept;
  void fill(const MtuSet& from) noexcept;
  void fill(const RarpRequested& from) noexcept;
  void fill(const StatusSet& from) noexcept;
  void fill(const LoansRecalled& from) noexcept;
  void fill(const LoansOverdue& from) noexcept;
  void fill(const ConnectFailed& from) noexcept;
  void fill(const OwnershipChanged& from) noexcept;
  void fill(const PlacementChanged& from) noexcept;
  void fill(const VringReady& from) noexcept;
  const vhostx_vring_placement& own(const VringPlacement& from) noexcept;

  vhostx_event event_{};
  std::string text_;
  std::optional<OwnedPlacement> placement_;
};

/// The handler for Backend::open_port(); empty for null.
EventHandler handler_of(vhostx_event_handler handler, void* user);

}  // namespace vhostx::c
