// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry/values.hpp"

#include <cinttypes>
#include <cstdio>

namespace vhostx::telemetry {
namespace {

std::string hex(std::uint64_t value) {
  char text[19];
  std::snprintf(text, sizeof text, "0x%" PRIx64, value);
  return text;
}

void add_counters(Dict& out, const VringStats& stats) {
  Dict drops;
  for (const auto& row : vring_counters) (row.is_drop ? drops : out).add(row.name, stats[row.id]);
  out.add("drops", std::move(drops));
}

Dict histogram_of(const NodeHistogram& histogram) {
  Dict nodes;
  for (const auto& entry : histogram.nodes) nodes.add(std::to_string(entry.node), entry.pages);
  Dict out;
  out.add("nodes", std::move(nodes)).add("absent", histogram.absent).add("unknown", histogram.unknown);
  return out;
}

std::vector<std::string> areas_of(const std::vector<MemoryArea>& areas) {
  std::vector<std::string> list;
  list.reserve(areas.size());
  for (const auto& area : areas) list.push_back(hex(area.address) + "+" + std::to_string(area.bytes));
  return list;
}

void add_info(Dict& out, const PortInfo& info) {
  out.add("connected", info.connected)
      .add("connections", info.connections)
      .add("last_error", info.last_error)
      .add("features", hex(info.features))
      .add("features_offered", hex(info.features_offered))
      .add("protocol_features", hex(info.protocol_features))
      .add("protocol_features_offered", hex(info.protocol_features_offered))
      .add("memory_regions", info.memory_regions)
      .add("memory_bytes", info.memory_bytes)
      .add("memory_regions_for_dma", info.memory_regions_for_dma)
      .add("dma_problem", info.dma_problem)
      .add("mtu", info.mtu)
      .add("status", info.status)
      .add("driver_ok", info.driver_ok)
      .add("link_up", info.link_up)
      .add("vrings_ready", info.vrings_ready)
      .add("queue_pairs_up", info.queue_pairs_up)
      .add("releases_pending", info.releases_pending);
}

void add_options(Dict& out, const PortOptions& options) {
  out.add("socket_path", options.socket_path)
      .add("role", std::string(options.role == Role::server ? "server" : "client"))
      .add("queue_pairs_max", options.queue_pairs_max)
      .add("memory_slots_max", options.memory_slots_max)
      .add("zero_copy", options.zero_copy);
}

void add_vrings(Dict& out, Port& port) {
  unsigned started = 0, broken = 0;
  for (std::uint16_t index = 0; index < port.vring_count(); ++index) {
    const auto state = port.vring(index).state();
    started += state.started ? 1 : 0;
    broken += state.broken ? 1 : 0;
  }
  const PortStats stats = port.stats();
  Dict from_guest, to_guest;
  add_counters(from_guest, stats.from_guest);
  add_counters(to_guest, stats.to_guest);
  out.add("vrings", port.vring_count()).add("vrings_started", started).add("vrings_broken", broken);
  out.add("from_guest", std::move(from_guest)).add("to_guest", std::move(to_guest));
}

Dict loans_of(const LoanState& loans) {
  Dict out;
  out.add("outstanding", loans.outstanding).add("overdue", loans.overdue);
  out.add("oldest_age_us", static_cast<std::uint64_t>(loans.oldest_age.count()));
  return out;
}

}  // namespace

Dict values_of(Port& port) {
  Dict out;
  add_options(out, port.options());
  add_info(out, port.info());
  add_vrings(out, port);
  return out;
}

Dict values_of(const Vring& vring) {
  const auto state = vring.state();
  Dict out;
  out.add("vring", vring.index()).add("direction", std::string(vring.is_from_guest() ? "from_guest" : "to_guest"));
  out.add("started", state.started).add("enabled", state.enabled).add("broken", state.broken);
  out.add("kick_fd", vring.kick_fd());
  add_counters(out, vring.stats());
  out.add("loans", loans_of(vring.loans())).add("placement", values_of(vring.placement()));
  return out;
}

Dict values_of(const VringPlacement& placement) {
  Dict out;
  out.add("ring_node", placement.ring_node)
      .add("ring", histogram_of(placement.ring))
      .add("buffers", histogram_of(placement.buffers))
      .add("wanted_node", placement.wanted_node)
      .add("state_node", placement.state_node)
      .add("state", histogram_of(placement.state))
      .add("state_areas", areas_of(placement.state_areas))
      .add("moved", placement.moved)
      .add("move_errno", placement.move_errno)
      .add("problem", placement.problem);
  return out;
}

Dict values_of(const RegionPlacement& region) {
  Dict out;
  out.add("guest_address", hex(region.guest_address)).add("bytes", region.bytes).add("page_bytes", region.page_bytes);
  out.add("sample", histogram_of(region.sample));
  return out;
}

}  // namespace vhostx::telemetry
