// SPDX-License-Identifier: BSD-3-Clause
// PortSet: opening, events, counters.
#include "tools/switch/port_set.hpp"

#include "tools/switch/activated_sockets.hpp"
#include "tools/switch/log_level.hpp"
#include "tools/switch/log_sink.hpp"

namespace vhostx::tools {
namespace {

// Packets that may wait for a full ring. In switch mode: four rings of a Linux guest, whose receive interrupt can be
// late under software emulation. In the measuring modes short, so that an overloaded destination does not cool the
// caches.
constexpr std::uint32_t backlog_switch = 1024;
constexpr std::uint32_t backlog_measuring = 256;

bool changes_rings(const PortEvent& event) {
  return std::holds_alternative<VringStarted>(event) || std::holds_alternative<VringStopped>(event) ||
         std::holds_alternative<VringEnabled>(event) || std::holds_alternative<VringBroken>(event) ||
         std::holds_alternative<FrontEndDisconnected>(event) || std::holds_alternative<FeaturesNegotiated>(event);
}

void accumulate(VringStats& sum, const VringStats& part) {
  for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += part.values[i];
}

}  // namespace

Result<std::unique_ptr<PortSet>> PortSet::open(const Parts& parts) {
  auto set = std::make_unique<PortSet>(parts);
  set->entries_.resize(parts.fabric.ports.size());
  if (auto opened = set->open_sockets(); !opened) return opened.error();
  for (std::uint16_t id = 0; id < set->entries_.size(); ++id) {
    const bool is_tap = set->entries_[id].port == nullptr;
    if (auto added = set->add_port(id, is_tap ? std::uint16_t{1} : parts.options.ports[id].queue_pairs); !added)
      return added.error();
  }
  set->take_moves();  // what is told later is told against this
  set->publish_all();
  return set;
}

PortSet::~PortSet() {
  {
    const std::lock_guard guard(mutex_);
    built_ = false;
  }
  for (auto& port : parts_.fabric.ports) port->tx.clear();
  for (auto& entry : entries_) {
    entry.published.reset();
    entry.port.reset();
  }
  backend_.reset();
}

Result<void> PortSet::open_sockets() {
  BackendOptions options;
  options.log = log_line;
  options.log_level = log_level();
  auto backend = Backend::create(std::move(options));
  if (!backend) return backend.error();
  backend_ = *std::move(backend);
  for (std::uint16_t id = 0; id < parts_.options.ports.size(); ++id) {
    const auto& spec = parts_.options.ports[id];
    PortOptions port_options;
    port_options.socket_path = spec.path;
    port_options.role = spec.role;
    port_options.memory_bytes_max = spec.memory_bytes_max;
    port_options.queue_pairs_max = spec.queue_pairs;
    port_options.zero_copy = spec.zero_copy == ZeroCopy::lend;
    port_options.numa = spec.numa;
    port_options.features_extra = spec.features_extra;
    port_options.protocol_features_extra = spec.protocol_features_extra;
    port_options.socket_mode = spec.mode;
    port_options.listen_fd = activated_socket(spec);
    auto group = group_of(spec);
    if (!group) return group.error();
    port_options.socket_group = *group;
    if (parts_.options.numa_interval) port_options.numa_interval = *parts_.options.numa_interval;
    parts_.events.add_port(spec.path, 2u * spec.queue_pairs);
    auto port = backend_->open_port(port_options,
                                    [this, id](Port& source, const PortEvent& event) { on_event(id, source, event); });
    if (!port) return port.error();
    entries_[id].port = *std::move(port);
    publish_telemetry(entries_[id]);
  }
  return {};
}

/// A port that telemetry does not take (its path is not ASCII, say) serves its guest all the same.
void PortSet::publish_telemetry(Entry& entry) {
  auto published = PublishedPort::publish(*entry.port);
  if (!published) return log_line(LogLevel::warning, "not in DPDK's telemetry: " + published.error().message);
  entry.published = *std::move(published);
}

Result<void> PortSet::add_port(std::uint16_t id, std::uint16_t pairs) {
  parts_.fabric.ports[id]->budget.limit = parts_.backlog_segments;
  for (std::uint16_t pair = 0; pair < pairs; ++pair)
    if (auto added = add_lane(entries_[id], id, pair); !added) return added;
  return {};
}

Result<void> PortSet::add_lane(Entry& entry, std::uint16_t id, std::uint16_t pair) {
  auto& fabric = parts_.fabric;
  Worker& worker = *fabric.workers[placement_.next_in_turn()];
  TxQueueOptions tx;
  tx.sink = entry.port ? Sink{&entry.port->to_guest(pair), nullptr} : Sink{nullptr, parts_.tap};
  tx.budget = &fabric.ports[id]->budget;
  tx.owner = &worker.backlog_owner();
  tx.backlog_max = fabric.mode == Mode::learning ? backlog_switch : backlog_measuring;
  tx.index = fabric.tx_queues++;
  tx.shared = fabric.workers.size() > 1;
  tx.transfers = entry.port != nullptr && parts_.options.ports[id].zero_copy == ZeroCopy::on;
  fabric.ports[id]->tx.push_back(std::make_unique<TxQueue>(tx));

  auto lane = std::make_unique<RxLane>();
  lane->port = id;
  lane->pair = pair;
  lane->vring = entry.port ? &entry.port->from_guest(pair) : nullptr;
  lane->device = entry.port ? nullptr : parts_.tap;
  lane->transfers = tx.transfers;
  lane->tx = fabric.ports[id]->tx.back().get();
  entry.lanes.push_back(lane.get());
  fabric.lanes.push_back(std::move(lane));
  return worker.adopt(*entry.lanes.back());
}

/// On the control thread.
void PortSet::on_event(std::uint16_t id, Port& port, const PortEvent& event) {
  if (changes_rings(event)) {
    const std::lock_guard guard(mutex_);
    if (built_) publish(id);
  } else if (std::holds_alternative<PlacementChanged>(event)) {
    const std::lock_guard guard(mutex_);
    if (built_) follow(id);
  }
  if (std::holds_alternative<FrontEndDisconnected>(event)) parts_.fabric.macs->forget_port(id);
  parts_.events.push(port.socket_path(), event);
}

/// Events until now found no lanes to change.
void PortSet::publish_all() {
  const std::lock_guard guard(mutex_);
  built_ = true;
  for (std::uint16_t id = 0; id < entries_.size(); ++id) publish(id);
}

/// Which rings run, for the workers. With mutex_ held.
void PortSet::publish(std::uint16_t id) {
  auto& entry = entries_[id];
  std::vector<std::uint8_t> ready;
  for (auto* lane : entry.lanes) {
    const bool receives = lane->vring == nullptr ? Sink{nullptr, lane->device}.ready() : lane->vring->state().started;
    const bool sends = Sink{lane->tx->vring(), lane->device}.ready();
    lane->receives.store(receives, std::memory_order_relaxed);
    lane->sends.store(sends, std::memory_order_relaxed);
    if (sends) ready.push_back(static_cast<std::uint8_t>(lane->pair));
  }
  parts_.fabric.ports[id]->ready.publish(ready);
  parts_.fabric.lanes_changed();
  for (const auto* lane : entry.lanes) parts_.fabric.workers[lane->worker.load(std::memory_order_relaxed)]->wake();
  follow(id);
}

/// Frames for what was behind the TAP are dropped there and counted, until the stations' entries have aged.
void PortSet::tap_changed() {
  const std::lock_guard guard(mutex_);
  const auto id = static_cast<std::uint16_t>(entries_.size() - 1);
  if (parts_.tap->link() == LinkState::gone)
    for (const auto* lane : entries_[id].lanes)
      parts_.fabric.workers[lane->worker.load(std::memory_order_relaxed)]->unwatch(*lane);
  publish(id);
}

/// Lanes whose guest's memory is on a node that has workers are served by one of those. With mutex_ held.
void PortSet::follow(std::uint16_t id) {
  for (auto* lane : entries_[id].lanes)
    if (lane->receives.load(std::memory_order_relaxed) || lane->sends.load(std::memory_order_relaxed))
      placement_.follow(*lane, node_of(*lane));
}

std::vector<PortSnapshot> PortSet::snapshots() const {
  std::vector<PortSnapshot> all;
  for (std::uint16_t id = 0; id < entries_.size(); ++id) all.push_back(snapshot_of(id));
  return all;
}

PortSnapshot PortSet::snapshot_of(std::uint16_t id) const {
  PortSnapshot out;
  const auto& entry = entries_[id];
  out.stations = parts_.fabric.macs->entries_of(id);
  add_drops(id, out);
  if (entry.port == nullptr) {
    out.name = parts_.options.tap;
    out.is_tap = true;
    out.link = parts_.tap->link();
    out.connected = out.link != LinkState::gone;
    out.from_guest = parts_.tap->received();
    out.to_guest = parts_.tap->sent();
    return out;
  }
  const auto info = entry.port->info();
  out.name = entry.port->socket_path();
  out.connected = info.connected;
  out.connections = info.connections;
  out.features = info.features;
  out.protocol_features = info.protocol_features;
  out.memory_regions = info.memory_regions;
  out.memory_bytes = info.memory_bytes;
  out.releases_pending = info.releases_pending;
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
