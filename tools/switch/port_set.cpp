// SPDX-License-Identifier: BSD-3-Clause
// PortSet: opening at the start, events, addresses.
#include "tools/switch/port_set.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tools/switch/activated_sockets.hpp"
#include "tools/switch/log_level.hpp"
#include "tools/switch/log_sink.hpp"

namespace vhostx::tools {
namespace {

bool changes_rings(const PortEvent& event) {
  return std::holds_alternative<VringStarted>(event) || std::holds_alternative<VringStopped>(event) ||
         std::holds_alternative<VringEnabled>(event) || std::holds_alternative<VringBroken>(event) ||
         std::holds_alternative<FrontEndDisconnected>(event) || std::holds_alternative<FeaturesNegotiated>(event);
}

}  // namespace

Result<std::unique_ptr<PortSet>> PortSet::open(const Parts& parts) {
  auto set = std::make_unique<PortSet>(parts);
  if (auto made = set->make_backend(); !made) return made.error();
  for (const auto& spec : parts.options.ports)
    if (auto added = set->add_socket(spec); !added) return added.error();
  if (parts.tap != nullptr)
    if (auto added = set->add_tap(); !added) return added.error();
  set->pause_for_others();
  set->take_moves();  // what is told later is told against this
  return set;
}

PortSet::PortSet(const Parts& parts)
    : parts_(parts), rules_(parts.options.mode, parts.options.tap), placement_(parts.fabric) {
  entries_.resize(tools::ports_max);
  ownership_.resize(tools::ports_max);
  parts_.fabric.ports.reserve(tools::ports_max);  // so that they never move
}

PortSet::~PortSet() {
  {
    const std::lock_guard guard(mutex_);
    for (auto& entry : entries_) entry.lanes.clear();
  }
  for (auto& port : parts_.fabric.ports) port->tx.clear();
  for (auto& entry : entries_) {
    entry.published.reset();
    entry.port.reset();
  }
  backend_.reset();
}

Result<void> PortSet::make_backend() {
  BackendOptions options;
  options.log = log_line;
  options.log_level = log_level();
  // All are opened first, and then asked for at once.
  options.keeper_claim = std::min(parts_.options.keeper_claim, KeeperClaim::stand_by);
  if (auto done = keepers_.set_up(parts_.options, options); !done) return done;
  auto backend = Backend::create(std::move(options));
  if (!backend) return backend.error();
  backend_ = *std::move(backend);
  return {};
}

void PortSet::set_log_level(LogLevel level) noexcept {
  tools::set_log_level(level);
  backend_->set_log_level(level);
}

Result<std::unique_ptr<Port>> PortSet::open_socket(const PortSpec& spec, std::uint16_t id) {
  PortOptions options;
  options.socket_path = spec.path;
  options.role = spec.role;
  options.memory_bytes_max = spec.memory_bytes_max;
  options.queue_pairs_max = spec.queue_pairs;
  options.zero_copy = spec.zero_copy == ZeroCopy::lend;
  options.numa = spec.numa;
  options.features_extra = spec.features_extra;
  options.protocol_features_extra = spec.protocol_features_extra;
  options.socket_mode = spec.mode;
  options.listen_fd = activated_socket(spec);
  auto group = group_of(spec);
  if (!group) return group.error();
  options.socket_group = *group;
  if (parts_.options.numa_interval) options.numa_interval = *parts_.options.numa_interval;
  if (spec.state_moves) move_state(spec, id, options);
  parts_.events.add_port(spec.path, 2u * spec.queue_pairs);
  {
    const std::lock_guard guard(mutex_);
    ownership_[id] = PortOwnership::serving;
  }
  return backend_->open_port(options,
                             [this, id](Port& source, const PortEvent& event) { on_event(id, source, event); });
}

/// A port that telemetry does not take (its path is not ASCII, say) serves its guest all the same.
void PortSet::publish_telemetry(Entry& entry) {
  auto published = PublishedPort::publish(*entry.port);
  if (!published) return log_line(LogLevel::warning, "not in DPDK's telemetry: " + published.error().message);
  entry.published = *std::move(published);
}

/// On the control thread. A port that workers do not know has no lanes to change. In a pause they sleep, and look at
/// all lanes at its end.
void PortSet::on_event(std::uint16_t id, Port& port, const PortEvent& event) {
  if (changes_rings(event)) {
    const std::lock_guard guard(mutex_);
    if (!entries_[id].lanes.empty() && !paused_since_) publish(id);
  } else if (std::holds_alternative<PlacementChanged>(event)) {
    const std::lock_guard guard(mutex_);
    follow(id);
  } else if (const auto* const changed = std::get_if<OwnershipChanged>(&event)) {
    const std::lock_guard guard(mutex_);
    ownership_changed(id, changed->ownership);
  }
  if (std::holds_alternative<FrontEndDisconnected>(event)) parts_.fabric.macs->forget_port(id);
  parts_.events.push(port.socket_path(), event);
}

/// Which rings run, for the workers. With mutex_ held.
void PortSet::publish(std::uint16_t id) {
  show_lanes(id);
  parts_.fabric.lanes_changed();
  for (const auto* lane : entries_[id].lanes)
    parts_.fabric.workers[lane->worker.load(std::memory_order_relaxed)]->wake();
  follow(id);
}

/// Workers look when they are told that lanes have changed.
void PortSet::show_lanes(std::uint16_t id) {
  auto& entry = entries_[id];
  std::vector<std::uint8_t> ready;
  for (auto* lane : entry.lanes) {
    const bool receives = paused_since_            ? false
                          : lane->vring == nullptr ? Sink{nullptr, lane->device}.ready()
                                                   : lane->vring->state().started;
    const bool sends = Sink{lane->tx->vring(), lane->device}.ready();
    lane->receives.store(receives, std::memory_order_relaxed);
    lane->sends.store(sends, std::memory_order_relaxed);
    if (sends) ready.push_back(static_cast<std::uint8_t>(lane->pair));
  }
  parts_.fabric.ports[id]->ready.publish(ready);
}

/// Frames for what was behind the TAP are dropped there and counted, until the stations' entries have aged.
void PortSet::tap_changed() {
  const std::lock_guard guard(mutex_);
  const auto id = find(parts_.options.tap);
  if (!id) return;
  if (parts_.tap->link() == LinkState::gone)
    for (const auto* lane : entries_[*id].lanes)
      parts_.fabric.workers[lane->worker.load(std::memory_order_relaxed)]->unwatch(*lane);
  publish(*id);
}

/// Lanes whose guest's memory is on a node that has workers are served by one of those. With mutex_ held.
void PortSet::follow(std::uint16_t id) {
  for (auto* lane : entries_[id].lanes)
    if (lane->receives.load(std::memory_order_relaxed) || lane->sends.load(std::memory_order_relaxed))
      placement_.follow(*lane, node_of(*lane));
}

std::vector<LaneMoved> PortSet::take_moves() {
  const std::lock_guard guard(mutex_);
  std::vector<LaneMoved> moves;
  for (const auto& move : placement_.take_moves())
    moves.push_back({parts_.events.seconds(), entries_[move.port].name, move.pair, move.from, move.to});
  return moves;
}

/// With mutex_ held.
std::optional<std::uint16_t> PortSet::find(const std::string& name) const {
  for (std::uint16_t id = 0; id < entries_.size(); ++id)
    if (!name.empty() && entries_[id].name == name) return id;
  return {};
}

namespace {

Error no_such_port(const std::string& name) {
  return Error{ErrorCode::invalid_argument, fmt::format("there is no port '{}': `ports` lists them", name), 0};
}

}  // namespace

Result<std::vector<LearnedAddress>> PortSet::addresses(const std::string& port) const {
  const std::lock_guard guard(mutex_);
  if (!port.empty() && !find(port)) return no_such_port(port);
  std::vector<LearnedAddress> found;
  for (const auto& station : parts_.fabric.macs->stations())
    if (const auto& name = entries_[station.port].name; !name.empty() && (port.empty() || name == port))
      found.push_back({station.mac, name, station.age_s});
  return found;
}

Result<std::uint32_t> PortSet::flush_addresses(const std::string& port) {
  const std::lock_guard guard(mutex_);
  if (!port.empty() && !find(port)) return no_such_port(port);
  std::uint32_t forgotten = 0;
  for (std::uint16_t id = 0; id < entries_.size(); ++id)
    if (!entries_[id].name.empty() && (port.empty() || entries_[id].name == port))
      forgotten += parts_.fabric.macs->forget_port(id);
  return forgotten;
}

}  // namespace vhostx::tools
