// SPDX-License-Identifier: BSD-3-Clause
// JSON reports.
#include "tools/switch/report_json.hpp"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vhostx::tools {
namespace {

using Json = nlohmann::ordered_json;

Json seconds_of(double seconds) { return std::round(seconds * 1e6) / 1e6; }
std::string hex(std::uint64_t value) { return fmt::format("{:#x}", value); }

/// Sockets may have names that are no UTF-8; a report is written all the same.
std::string line(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json counters_of(const VringStats& stats) {
  Json object, drops = Json::object();
  for (const auto& row : vring_counters) (row.is_drop ? drops : object)[row.name] = stats[row.id];
  object["drops"] = std::move(drops);
  return object;
}

Json drops_of(const SwitchDrops& drops) {
  Json object;
  for (const auto& cause : switch_drop_causes) object[cause.name] = drops.*cause.value;
  return object;
}

Json port_of(const PortSnapshot& port) {
  return {{"name", port.name},
          {"kind", port.is_tap ? "tap" : "vhost-user"},
          {"connected", port.connected},
          {"connections", port.connections},
          {"features", hex(port.features)},
          {"vrings_started", port.vrings_started},
          {"vrings_broken", port.vrings_broken},
          {"memory_regions", port.memory_regions},
          {"memory_bytes", port.memory_bytes},
          {"stations", port.stations},
          {"from_guest", counters_of(port.from_guest)},
          {"to_guest", counters_of(port.to_guest)},
          {"switch_drops", drops_of(port.drops)}};
}

/// The fields that each kind of event has beside the common ones.
struct Fields {
  Json& out;

  void operator()(const FrontEndConnected&) const {}
  void operator()(const FrontEndDisconnected& event) const {
    out["code"] = to_string(event.reason.code);
    out["reason"] = event.reason.message;
  }
  void operator()(const FeaturesNegotiated& event) const { out["features"] = hex(event.features); }
  void operator()(const MemoryChanged& event) const {
    out["regions"] = event.regions;
    out["bytes"] = event.bytes;
  }
  void operator()(const VringStarted& event) const { out["vring"] = event.index; }
  void operator()(const VringStopped& event) const { out["vring"] = event.index; }
  void operator()(const VringEnabled& event) const {
    out["vring"] = event.index;
    out["enabled"] = event.enabled;
  }
  void operator()(const VringBroken& event) const {
    out["vring"] = event.index;
    out["cause"] = to_string(event.fault.cause);
    out["head"] = event.fault.head;
    out["a"] = hex(event.fault.a);
    out["b"] = hex(event.fault.b);
  }
  void operator()(const MtuSet& event) const { out["mtu"] = event.mtu; }
  void operator()(const RarpRequested& event) const { out["mac"] = fmt::format("{:02x}", fmt::join(event.mac, ":")); }
  void operator()(const StatusSet& event) const { out["status"] = event.status; }
  void operator()(const LoansRecalled& event) const { loans(event.index, event.outstanding); }
  void operator()(const LoansOverdue& event) const { loans(event.index, event.outstanding); }
  void operator()(const PlacementChanged& event) const {
    out["vring"] = event.index;
    out["node"] = event.node;
  }

  void loans(std::uint16_t index, std::uint32_t outstanding) const {
    out["vring"] = index;
    out["outstanding"] = outstanding;
  }
};

}  // namespace

std::string json_report(const char* event, const Snapshot& snapshot) {
  Json object{{"event", event}, {"seconds", seconds_of(snapshot.seconds)}};
  object["ports"] = Json::array();
  for (const auto& port : snapshot.ports) object["ports"].push_back(port_of(port));
  object["process"] = {
      {"open_fds", snapshot.open_fds}, {"mbufs_in_use", snapshot.mbufs_in_use}, {"events_lost", snapshot.events_lost}};
  return line(object);
}

std::string json_event(const TimedEvent& event) {
  Json object{{"event", event_name(event.event)}, {"port", event.port}, {"seconds", seconds_of(event.seconds)}};
  std::visit(Fields{object}, event.event);
  return line(object);
}

std::string json_ready(const std::vector<std::string>& sockets, const std::string& memory, double seconds) {
  return line(Json{{"event", "ready"}, {"seconds", seconds_of(seconds)}, {"sockets", sockets}, {"memory", memory}});
}

}  // namespace vhostx::tools
