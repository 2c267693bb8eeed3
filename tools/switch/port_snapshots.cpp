// SPDX-License-Identifier: BSD-3-Clause
// PortSet: counters and states.
#include "tools/switch/port_set.hpp"

namespace vhostx::tools {
namespace {

void accumulate(VringStats& sum, const VringStats& part) {
  for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += part.values[i];
}

}  // namespace

std::vector<PortSnapshot> PortSet::snapshots() const {
  const std::lock_guard guard(mutex_);
  std::vector<PortSnapshot> all;
  std::optional<PortSnapshot> tap;
  for (std::uint16_t id = 0; id < entries_.size(); ++id) {
    if (entries_[id].name.empty()) continue;
    if (entries_[id].port == nullptr)
      tap = snapshot_of(id);
    else
      all.push_back(snapshot_of(id));
  }
  if (tap) all.push_back(*std::move(tap));
  return all;
}

/// With mutex_ held.
PortSnapshot PortSet::snapshot_of(std::uint16_t id) const {
  PortSnapshot out;
  const auto& entry = entries_[id];
  out.name = entry.name;
  out.serial = entry.serial;
  out.queue_pairs = entry.spec.queue_pairs;
  out.is_client = entry.spec.role == Role::client;
  out.stations = parts_.fabric.macs->entries_of(id);
  add_drops(id, out);
  if (entry.port == nullptr) {
    out.is_tap = true;
    out.link = parts_.tap->link();
    out.connected = out.link != LinkState::gone;
    out.from_guest = parts_.tap->received();
    out.to_guest = parts_.tap->sent();
    return out;
  }
  const auto info = entry.port->info();
  out.connected = info.connected;
  out.connections = info.connections;
  out.features = info.features;
  out.protocol_features = info.protocol_features;
  out.memory_regions = info.memory_regions;
  out.memory_bytes = info.memory_bytes;
  out.releases_pending = info.releases_pending;
  out.last_error = info.last_error;
  add_vrings(entry, out);
  return out;
}

void PortSet::add_vrings(const Entry& entry, PortSnapshot& out) const {
  for (std::uint16_t index = 0; index < entry.port->vring_count(); ++index) {
    const auto& vring = entry.port->vring(index);
    const auto state = vring.state();
    out.vrings.push_back({index, state, vring.stats(), vring.loans(), vring.numa_node()});
    accumulate(vring.is_from_guest() ? out.from_guest : out.to_guest, out.vrings.back().stats);
    out.vrings_started = static_cast<std::uint16_t>(out.vrings_started + (state.started ? 1 : 0));
    out.vrings_broken = static_cast<std::uint16_t>(out.vrings_broken + (state.broken ? 1 : 0));
    if (!state.started) continue;
    const auto number = entry.lanes[index / 2]->worker.load(std::memory_order_relaxed);
    const auto& worker = parts_.fabric.workers[number]->options();
    out.placement.push_back({index, vring.placement(), number, worker.lcore, worker.node, worker.pool_node});
  }
}

void PortSet::add_drops(std::uint16_t id, PortSnapshot& out) const {
  for (const auto& queue : parts_.fabric.ports[id]->tx) {
    out.drops.ring_full += queue->dropped_ring_full();
    out.drops.few_buffers += queue->dropped_few_buffers();
    out.drops.not_ready += queue->dropped_not_ready();
  }
  for (const auto* worker : parts_.fabric.workers) {
    const auto& drops = worker->drops()[id];
    out.drops.not_ready += drops.not_ready.value();
    out.drops.flood_not_ready += drops.flood_not_ready.value();
    out.drops.same_port += drops.same_port.value();
    out.drops.malformed += drops.malformed.value();
    out.drops.foreign_source += drops.foreign_source.value();
  }
}

}  // namespace vhostx::tools
