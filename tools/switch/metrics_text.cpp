// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/metrics_text.hpp"

#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vhostx::tools {
namespace {

enum class Type { counter, gauge };

/// Families one after the other, each with its samples.
class Exposition {
 public:
  void family(std::string name, Type type, std::string_view help) {
    name_ = std::move(name);
    fmt::format_to(out(), "# HELP {} {}\n# TYPE {} {}\n", name_, help, name_,
                   type == Type::counter ? "counter" : "gauge");
  }
  /// `labels` in braces, or nothing.
  template <typename T>
  void sample(std::string_view labels, T value) {
    fmt::format_to(out(), "{}{} {}\n", name_, labels, value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::back_insert_iterator<std::string> out() { return std::back_inserter(text_); }

  std::string text_;
  std::string name_;
};

const char* direction_of(bool from_guest) { return from_guest ? "from_guest" : "to_guest"; }

std::string port_label(const PortSnapshot& port) { return fmt::format("port=\"{}\"", escape_label(port.name)); }

struct VringSample {
  std::string labels;  ///< Without braces.
  VringStats stats;
};

/// A TAP has no vrings: its label is empty.
std::vector<VringSample> counted(const Snapshot& snapshot) {
  std::vector<VringSample> all;
  for (const auto& port : snapshot.ports) {
    const auto label = port_label(port);
    for (const auto& vring : port.vrings)
      all.push_back(
          {fmt::format("{},vring=\"{}\",direction=\"{}\"", label, vring.index, direction_of(vring.is_from_guest())),
           vring.stats});
    if (!port.is_tap) continue;
    for (const bool from_guest : {false, true})
      all.push_back({fmt::format("{},vring=\"\",direction=\"{}\"", label, direction_of(from_guest)),
                     from_guest ? port.from_guest : port.to_guest});
  }
  return all;
}

void add_counters(Exposition& out, const Snapshot& snapshot) {
  const auto vrings = counted(snapshot);
  for (const auto& row : vring_counters) {
    if (row.is_drop) continue;
    out.family(fmt::format("vhostx_vring_{}_total", row.name), Type::counter,
               fmt::format("The vring's counter {} (vhostx/vring_stats.hpp).", row.name));
    for (const auto& vring : vrings) out.sample("{" + vring.labels + "}", vring.stats[row.id]);
  }
  out.family("vhostx_vring_drops_total", Type::counter, "Packets lost in the vring, by cause.");
  for (const auto& vring : vrings)
    for (const auto& row : vring_counters)
      if (row.is_drop) out.sample(fmt::format("{{{},cause=\"{}\"}}", vring.labels, row.name), vring.stats[row.id]);
}

template <typename Value>
void add_vrings(Exposition& out, const Snapshot& snapshot, const char* name, const char* help, const Value& value) {
  out.family(name, Type::gauge, help);
  for (const auto& port : snapshot.ports)
    for (const auto& vring : port.vrings)
      out.sample(fmt::format("{{{},vring=\"{}\",direction=\"{}\"}}", port_label(port), vring.index,
                             direction_of(vring.is_from_guest())),
                 value(vring));
}

void add_states(Exposition& out, const Snapshot& snapshot) {
  using Row = VringCounts;
  const auto add = [&](const char* name, const char* help, const auto& value) {
    add_vrings(out, snapshot, name, help, value);
  };
  add("vhostx_vring_is_started", "1 while the ring is started.", [](const Row& row) { return int{row.state.started}; });
  add("vhostx_vring_is_enabled", "1 while the ring is enabled.", [](const Row& row) { return int{row.state.enabled}; });
  add("vhostx_vring_is_broken", "1 while the ring is broken: its driver lied.",
      [](const Row& row) { return int{row.state.broken}; });
  add("vhostx_vring_loans_outstanding", "Packets that are lent.", [](const Row& row) { return row.loans.outstanding; });
  add("vhostx_vring_loans_overdue", "Packets still lent of rings that have stopped.",
      [](const Row& row) { return row.loans.overdue; });
  add("vhostx_vring_numa_node", "NUMA node of the guest's memory behind the ring; -1: not known.",
      [](const Row& row) { return row.node; });
}

template <typename Value>
void add_ports(Exposition& out, const Snapshot& snapshot, const char* name, Type type, const char* help, Value value) {
  out.family(name, type, help);
  for (const auto& port : snapshot.ports) out.sample(fmt::format("{{{}}}", port_label(port)), value(port));
}

void add_ports(Exposition& out, const Snapshot& snapshot) {
  using Port = PortSnapshot;
  add_ports(out, snapshot, "vhostx_port_connected", Type::gauge,
            "1 while a front-end is connected, or the TAP interface is there.",
            [](const Port& port) { return int{port.connected}; });
  add_ports(out, snapshot, "vhostx_port_connections_total", Type::counter, "Front-ends that have connected.",
            [](const Port& port) { return port.connections; });
  add_ports(out, snapshot, "vhostx_port_memory_regions", Type::gauge, "Regions of guest memory.",
            [](const Port& port) { return port.memory_regions; });
  add_ports(out, snapshot, "vhostx_port_memory_bytes", Type::gauge, "Bytes of guest memory.",
            [](const Port& port) { return port.memory_bytes; });
  add_ports(out, snapshot, "vhostx_port_releases_pending", Type::gauge,
            "Descriptors and mappings that front-ends left and whose close() or munmap() has not returned yet.",
            [](const Port& port) { return port.releases_pending; });
  add_ports(out, snapshot, "vhostx_port_stations", Type::gauge, "MAC addresses learned at the port.",
            [](const Port& port) { return port.stations; });
  out.family("vhostx_tap_is_up", Type::gauge, "1 while the TAP interface takes frames.");
  for (const auto& port : snapshot.ports)
    if (port.is_tap) out.sample(fmt::format("{{{}}}", port_label(port)), int{port.link == LinkState::up});
  out.family("vhostx_switch_drops_total", Type::counter, "Packets that the switch gave up at the port, by cause.");
  for (const auto& port : snapshot.ports)
    for (const auto& cause : switch_drop_causes)
      out.sample(fmt::format("{{{},cause=\"{}\"}}", port_label(port), cause.name), port.drops.*cause.value);
}

void add_process(Exposition& out, const Snapshot& snapshot) {
  out.family("vhostx_mempool_mbufs", Type::gauge, "Mbufs of the pool that the node's workers use.");
  for (const auto& pool : snapshot.mempools)
    out.sample(fmt::format("{{node=\"{}\",asked_node=\"{}\"}}", pool.node, pool.asked_node), pool.mbufs);
  out.family("vhostx_mempool_mbufs_in_use", Type::gauge, "Of those, how many are in use.");
  for (const auto& pool : snapshot.mempools)
    out.sample(fmt::format("{{node=\"{}\",asked_node=\"{}\"}}", pool.node, pool.asked_node), pool.in_use);
  out.family("vhostx_switch_open_fds", Type::gauge, "Open descriptors of the process.");
  out.sample("", snapshot.open_fds);
  out.family("vhostx_switch_events_lost_total", Type::counter, "Events left out of the reports: they came too fast.");
  out.sample("", snapshot.events_lost);
  out.family("vhostx_switch_info", Type::gauge, "1; the label is the version.");
  out.sample("{version=\"" VHOSTX_VERSION "\"}", 1);
}

}  // namespace

std::string metrics_text(const Snapshot& snapshot) {
  Exposition out;
  add_ports(out, snapshot);
  add_states(out, snapshot);
  add_counters(out, snapshot);
  add_process(out, snapshot);
  return out.take();
}

std::string escape_label(std::string_view value) {
  using Json = nlohmann::json;
  const auto as_json = Json(std::string(value)).dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string escaped;
  for (const char c : Json::parse(as_json).get<std::string>()) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return escaped;
}

}  // namespace vhostx::tools
