// SPDX-License-Identifier: BSD-3-Clause
// JSON reports.
#include "tools/switch/report_json.hpp"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
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

Json node_of(int node) { return node == no_node ? Json(nullptr) : Json(node); }

Json histogram_of(const NodeHistogram& histogram) {
  Json nodes = Json::object();
  for (const auto& entry : histogram.nodes) nodes[std::to_string(entry.node)] = entry.pages;
  return {{"nodes", std::move(nodes)}, {"absent", histogram.absent}, {"unknown", histogram.unknown}};
}

Json areas_of(const std::vector<MemoryArea>& areas) {
  Json list = Json::array();
  for (const auto& area : areas) list.push_back(Json{{"address", hex(area.address)}, {"bytes", area.bytes}});
  return list;
}

Json vring_of(const VringRow& row) {
  const auto& placement = row.placement;
  return {{"vring", row.index},
          {"ring_node", node_of(placement.ring_node)},
          {"buffers", histogram_of(placement.buffers)},
          {"wanted_node", node_of(placement.wanted_node)},
          {"state_node", node_of(placement.state_node)},
          {"state", histogram_of(placement.state)},
          {"state_areas", areas_of(placement.state_areas)},
          {"moved", placement.moved},
          {"move_errno", placement.move_errno},
          {"problem", placement.problem},
          {"worker", row.worker},
          {"lcore", row.lcore},
          {"lcore_node", node_of(row.lcore_node)},
          {"mempool_node", node_of(row.mempool_node)}};
}

Json pool_of(const PoolRow& pool) {
  return {{"node", node_of(pool.node)}, {"asked_node", node_of(pool.asked_node)},
          {"mbufs", pool.mbufs},        {"in_use", pool.in_use},
          {"problem", pool.problem},    {"memory", areas_of(pool.memory)}};
}

Json worker_of(const WorkerRow& worker) {
  return {{"worker", worker.worker}, {"lcore", worker.lcore}, {"node", node_of(worker.node)}, {"tid", worker.tid}};
}

/// A list, also of nothing.
template <typename Row>
Json list_of(const std::vector<Row>& rows, Json (*make)(const Row&)) {
  Json list = Json::array();
  for (const auto& row : rows) list.push_back(make(row));
  return list;
}

Json port_of(const PortSnapshot& port) {
  Json object{{"name", port.name},
              {"kind", port.is_tap ? "tap" : "vhost-user"},
              {"queue_pairs", port.queue_pairs},
              {"connected", port.connected},
              {"connections", port.connections},
              {"features", hex(port.features)},
              {"protocol_features", hex(port.protocol_features)},
              {"vrings_started", port.vrings_started},
              {"vrings_broken", port.vrings_broken},
              {"memory_regions", port.memory_regions},
              {"memory_bytes", port.memory_bytes},
              {"releases_pending", port.releases_pending},
              {"stations", port.stations},
              {"from_guest", counters_of(port.from_guest)},
              {"to_guest", counters_of(port.to_guest)},
              {"switch_drops", drops_of(port.drops)},
              {"placement", list_of(port.placement, vring_of)}};
  if (port.is_tap) object["link"] = to_string(port.link);
  return object;
}

Json short_port_of(const PortSnapshot& port) {
  Json object = port_of(port);
  for (const char* field : {"features", "protocol_features", "memory_regions", "releases_pending", "placement"})
    object.erase(field);
  if (port.is_tap) return object;
  object["role"] = port.is_client ? "client" : "server";
  object["last_error"] = port.last_error;
  return object;
}

/// The fields that each kind of event has beside the common ones.
struct Fields {
  Json& out;

  void operator()(const FrontEndConnected& event) const {
    if (event.adopted) out["adopted"] = true;
  }
  void operator()(const FrontEndDisconnected& event) const {
    out["code"] = to_string(event.reason.code);
    out["reason"] = event.reason.message;
  }
  void operator()(const ConnectFailed& event) const { out["reason"] = event.error.message; }
  void operator()(const OwnershipChanged& event) const {
    out["ownership"] = to_string(event.ownership);
    if (event.other_pid != 0) out["other_pid"] = event.other_pid;
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
  void operator()(const VringReady& event) const {
    out["vring"] = event.index;
    out["ready"] = event.ready;
  }
  void operator()(const MtuSet& event) const { out["mtu"] = event.mtu; }
  void operator()(const RarpRequested& event) const { out["mac"] = fmt::format("{:02x}", fmt::join(event.mac, ":")); }
  void operator()(const StatusSet& event) const { out["status"] = event.status; }
  void operator()(const LoansRecalled& event) const { loans(event.index, event.outstanding); }
  void operator()(const LoansOverdue& event) const { loans(event.index, event.outstanding); }
  void operator()(const PlacementChanged& event) const {
    out["vring"] = event.index;
    out["node"] = node_of(event.node);
    out["ring_node"] = node_of(event.placement.ring_node);
    out["state_node"] = node_of(event.placement.state_node);
    out["buffers"] = histogram_of(event.placement.buffers);
    out["problem"] = event.placement.problem;
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
  object["mempools"] = list_of(snapshot.mempools, pool_of);
  object["workers"] = list_of(snapshot.workers, worker_of);
  object["process"] = {
      {"open_fds", snapshot.open_fds}, {"mbufs_in_use", snapshot.mbufs_in_use}, {"events_lost", snapshot.events_lost}};
  return line(object);
}

std::string json_ports(const Snapshot& snapshot) { return line(list_of(snapshot.ports, short_port_of)); }

std::string json_port(const PortSnapshot& port) { return line(short_port_of(port)); }

std::string json_port_changed(const PortChanged& change) {
  return line(Json{{"event", change.added ? "port_added" : "port_removed"},
                   {"port", change.port},
                   {"seconds", seconds_of(change.seconds)}});
}

std::string with_text(const std::string& object, std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return object.substr(0, object.size() - 1) + ",\"text\":" + line(Json(text)) + "}";
}

std::string json_event(const TimedEvent& event) {
  Json object{{"event", event_name(event.event)}, {"port", event.port}, {"seconds", seconds_of(event.seconds)}};
  std::visit(Fields{object}, event.event);
  return line(object);
}

std::string json_left_out(const TimedEvent& event) {
  return line(Json{{"event", "events_left_out"},
                   {"port", event.port},
                   {"seconds", seconds_of(event.seconds)},
                   {"count", event.left_out}});
}

std::string json_link(const LinkChanged& link) {
  return line(Json{{"event", std::string("tap_") + to_string(link.link)},
                   {"port", link.port},
                   {"seconds", seconds_of(link.seconds)},
                   {"problem", link.problem}});
}

std::string json_lane_moved(const LaneMoved& lane) {
  return line(Json{{"event", "lane_moved"},
                   {"port", lane.port},
                   {"seconds", seconds_of(lane.seconds)},
                   {"pair", lane.pair},
                   {"from_worker", lane.from},
                   {"to_worker", lane.to}});
}

std::string json_ready(const Ready& ready, double seconds) {
  Json object{{"event", "ready"}, {"seconds", seconds_of(seconds)}};
  object["sockets"] = ready.sockets;
  object["memory"] = ready.memory;
  if (!ready.metrics.empty()) object["metrics"] = ready.metrics;
  if (!ready.control.empty()) object["control"] = ready.control;
  return line(object);
}

}  // namespace vhostx::tools
