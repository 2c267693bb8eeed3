// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <vhostx/events.hpp>

#include "protocol/describe.hpp"

namespace vhostx {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

std::string describe_fault(const VringBroken& event) {
  return fmt::format("vring {} broken: {} (head {}, {:#x}, {:#x})", event.index, to_string(event.fault.cause),
                     event.fault.head, event.fault.a, event.fault.b);
}

std::string describe_mac(const std::array<std::uint8_t, 6>& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

std::string describe_node(int node) { return node == no_node ? std::string("unknown") : fmt::format("{}", node); }

std::string describe_placement(const PlacementChanged& event) {
  const VringPlacement& placement = event.placement;
  std::string text = fmt::format("vring {}: memory on node {}, state on node {}", event.index,
                                 describe_node(event.node), describe_node(placement.state_node));
  if (!placement.problem.empty()) text += fmt::format(" ({})", placement.problem);
  return text;
}

std::string describe_ownership(const OwnershipChanged& event) {
  const std::string other = event.other_pid == 0 ? "another process" : fmt::format("process {}", event.other_pid);
  switch (event.ownership) {
    case PortOwnership::serving:
      return "served by this process";
    case PortOwnership::yielding:
      return fmt::format("{} takes it over", other);
    case PortOwnership::standing_by:
      return fmt::format("stands by: {} serves it", other);
    case PortOwnership::handed_over:
      return fmt::format("handed over to {}", other);
  }
  return {};
}

}  // namespace

const char* to_string(PortOwnership ownership) noexcept {
  constexpr const char* names[] = {"serving", "yielding", "standing_by", "handed_over"};
  return names[static_cast<std::size_t>(ownership)];
}

const char* event_name(const PortEvent& event) noexcept {
  return std::visit(Overloaded{
                        [](const FrontEndConnected&) { return "connected"; },
                        [](const FrontEndDisconnected&) { return "disconnected"; },
                        [](const FeaturesNegotiated&) { return "features_negotiated"; },
                        [](const MemoryChanged&) { return "memory_changed"; },
                        [](const VringStarted&) { return "vring_started"; },
                        [](const VringStopped&) { return "vring_stopped"; },
                        [](const VringEnabled&) { return "vring_enabled"; },
                        [](const VringBroken&) { return "vring_broken"; },
                        [](const MtuSet&) { return "mtu_set"; },
                        [](const RarpRequested&) { return "rarp_requested"; },
                        [](const StatusSet&) { return "status_set"; },
                        [](const LoansRecalled&) { return "loans_recalled"; },
                        [](const LoansOverdue&) { return "loans_overdue"; },
                        [](const PlacementChanged&) { return "placement_changed"; },
                        [](const VringReady&) { return "vring_ready"; },
                        [](const ConnectFailed&) { return "connect_failed"; },
                        [](const OwnershipChanged&) { return "ownership_changed"; },
                    },
                    event);
}

std::string describe(const PortEvent& event) {
  return std::visit(
      Overloaded{
          [](const FrontEndConnected& e) {
            return std::string(e.adopted ? "front-end taken over from another process" : "front-end connected");
          },
          [](const FrontEndDisconnected& e) { return fmt::format("front-end disconnected: {}", e.reason.message); },
          [](const FeaturesNegotiated& e) { return fmt::format("features {:#x} negotiated", e.features); },
          [](const MemoryChanged& e) { return fmt::format("guest memory: {} regions, {} bytes", e.regions, e.bytes); },
          [](const VringStarted& e) { return fmt::format("vring {} started", e.index); },
          [](const VringStopped& e) { return fmt::format("vring {} stopped", e.index); },
          [](const VringEnabled& e) { return fmt::format("vring {} {}", e.index, e.enabled ? "enabled" : "disabled"); },
          [](const VringBroken& e) { return describe_fault(e); },
          [](const MtuSet& e) { return fmt::format("MTU {}", e.mtu); },
          [](const RarpRequested& e) { return fmt::format("RARP requested for {}", describe_mac(e.mac)); },
          [](const StatusSet& e) {
            return fmt::format("device status {:#04x} ({})", e.status, protocol::describe_status(e.status));
          },
          [](const LoansRecalled& e) { return fmt::format("vring {}: {} loans recalled", e.index, e.outstanding); },
          [](const LoansOverdue& e) { return fmt::format("vring {}: {} loans overdue", e.index, e.outstanding); },
          [](const PlacementChanged& e) { return describe_placement(e); },
          [](const VringReady& e) { return fmt::format("vring {} {}", e.index, e.ready ? "ready" : "not ready"); },
          [](const ConnectFailed& e) { return fmt::format("{}; trying again", e.error.message); },
          [](const OwnershipChanged& e) { return describe_ownership(e); },
      },
      event);
}

}  // namespace vhostx
