// SPDX-License-Identifier: BSD-3-Clause
#include "c/events.hpp"

#include <algorithm>
#include <variant>

#include "c/handles.hpp"
#include "c/report.hpp"

namespace vhostx::c {
namespace {

static_assert(static_cast<int>(PortOwnership::handed_over) == VHOSTX_OWNERSHIP_HANDED_OVER);

constexpr vhostx_node_histogram nothing_known{nullptr, 0, 0, 0};
constexpr vhostx_vring_placement unknown_placement{
    nothing_known, nothing_known, nothing_known, no_node, no_node, no_node, 0, 0, "out of memory", nullptr, 0};

}  // namespace

EventView::EventView(const PortEvent& from) noexcept {
  event_.name = event_.text = event_name(from);
  try {
    text_ = describe(from);
    event_.text = text_.c_str();
  } catch (...) {
  }
  std::visit([this](const auto& what) { fill(what); }, from);
}

void EventView::fill(const FrontEndConnected& from) noexcept {
  event_.kind = VHOSTX_EVENT_CONNECTED;
  event_.as.adopted = from.adopted;
}

void EventView::fill(const FrontEndDisconnected& from) noexcept {
  event_.kind = VHOSTX_EVENT_DISCONNECTED;
  const Error& reason = from.reason;
  event_.as.disconnected = {code_of(reason.code), reason.system_errno, reason.message.c_str()};
}

void EventView::fill(const ConnectFailed& from) noexcept {
  event_.kind = VHOSTX_EVENT_CONNECT_FAILED;
  event_.as.connect_failed = {code_of(from.error.code), from.error.system_errno, from.error.message.c_str()};
}

void EventView::fill(const OwnershipChanged& from) noexcept {
  event_.kind = VHOSTX_EVENT_OWNERSHIP_CHANGED;
  event_.as.ownership = {static_cast<int>(from.ownership), from.other_pid};
}

void EventView::fill(const FeaturesNegotiated& from) noexcept {
  event_.kind = VHOSTX_EVENT_FEATURES_NEGOTIATED;
  event_.as.features = from.features;
}

void EventView::fill(const MemoryChanged& from) noexcept {
  event_.kind = VHOSTX_EVENT_MEMORY_CHANGED;
  event_.as.memory = {from.regions, from.bytes};
}

void EventView::fill(const VringStarted& from) noexcept {
  event_.kind = VHOSTX_EVENT_VRING_STARTED;
  event_.as.vring = {from.index};
}

void EventView::fill(const VringStopped& from) noexcept {
  event_.kind = VHOSTX_EVENT_VRING_STOPPED;
  event_.as.vring = {from.index};
}

void EventView::fill(const VringEnabled& from) noexcept {
  event_.kind = VHOSTX_EVENT_VRING_ENABLED;
  event_.as.enabled = {from.index, from.enabled};
}

void EventView::fill(const VringBroken& from) noexcept {
  event_.kind = VHOSTX_EVENT_VRING_BROKEN;
  const VringFault& fault = from.fault;
  event_.as.broken = {from.index, {static_cast<int>(fault.cause), fault.head, fault.a, fault.b}};
}

void EventView::fill(const MtuSet& from) noexcept {
  event_.kind = VHOSTX_EVENT_MTU_SET;
  event_.as.mtu = from.mtu;
}

void EventView::fill(const RarpRequested& from) noexcept {
  event_.kind = VHOSTX_EVENT_RARP_REQUESTED;
  std::copy(from.mac.begin(), from.mac.end(), event_.as.rarp);
}

void EventView::fill(const StatusSet& from) noexcept {
  event_.kind = VHOSTX_EVENT_STATUS_SET;
  event_.as.status = from.status;
}

void EventView::fill(const LoansRecalled& from) noexcept {
  event_.kind = VHOSTX_EVENT_LOANS_RECALLED;
  event_.as.loans = {from.index, from.outstanding};
}

void EventView::fill(const LoansOverdue& from) noexcept {
  event_.kind = VHOSTX_EVENT_LOANS_OVERDUE;
  event_.as.loans = {from.index, from.outstanding};
}

void EventView::fill(const PlacementChanged& from) noexcept {
  event_.kind = VHOSTX_EVENT_PLACEMENT_CHANGED;
  event_.as.placement = {from.index, from.node, &own(from.placement)};
}

void EventView::fill(const VringReady& from) noexcept {
  event_.kind = VHOSTX_EVENT_VRING_READY;
  event_.as.ready = {from.index, from.ready};
}

const vhostx_vring_placement& EventView::own(const VringPlacement& from) noexcept {
  try {
    return placement_.emplace(from);
  } catch (...) {
    return unknown_placement;
  }
}

EventHandler handler_of(vhostx_event_handler handler, void* user) {
  if (handler == nullptr) return {};
  return [handler, user](Port& port, const PortEvent& event) {
    const EventView view(event);
    handler(handle(&port), &view.event(), user);  // the port, and with it this lambda, may be gone now
  };
}

}  // namespace vhostx::c
