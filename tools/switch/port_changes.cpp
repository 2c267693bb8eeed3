// SPDX-License-Identifier: BSD-3-Clause
// PortSet: how a port becomes one of the workers', and how it ends.
#include <algorithm>

#include <fmt/format.h>

#include "tools/switch/eal_setup.hpp"
#include "tools/switch/port_set.hpp"
#include "tools/switch/standstill.hpp"

namespace vhostx::tools {
namespace {

// Packets that may wait for a full ring. In switch mode: four rings of a Linux guest, whose receive interrupt can be
// late under software emulation. In the measuring modes short, so that an overloaded destination does not cool the
// caches.
constexpr std::uint32_t backlog_switch = 1024;
constexpr std::uint32_t backlog_measuring = 256;

Error refused(ErrorCode code, std::string why) { return Error{code, std::move(why), 0}; }

}  // namespace

Result<void> PortSet::add(const PortSpec& spec) {
  const std::lock_guard alone(changing_);
  if (auto may = may_add(spec); !may) return may;
  const bool has_all = ownership().standing_by == 0;  // else it would ask for what it has just handed over, too
  auto added = add_socket(spec);
  if (has_all) take_over();
  return added;
}

Result<void> PortSet::may_change() const {
  const auto mode = parts_.options.mode;
  if ((mode != Mode::io && mode != Mode::mac) || parts_.options.topology == Topology::loop) return {};
  return refused(ErrorCode::unsupported,
                 fmt::format("--mode {} pairs the ports of the command line: none can be added or removed; "
                             "--topology loop, or another mode, allows it",
                             to_string(mode)));
}

Result<void> PortSet::may_add(const PortSpec& spec) const {
  if (auto may = may_change(); !may) return may;
  const std::lock_guard guard(mutex_);
  if (find(spec.path)) return refused(ErrorCode::busy, fmt::format("there is a port '{}' already", spec.path));
  if (count() < ports_max()) return {};
  return refused(ErrorCode::limit,
                 fmt::format("there are {} ports, the most that this switch can have: its memory for packets was "
                             "allocated for the ports at the start",
                             count()));
}

Result<void> PortSet::add_socket(const PortSpec& spec) {
  if (auto checked = rules_.add(spec); !checked) return checked;
  const auto forget = [&] {
    rules_.remove(spec.path);
    parts_.events.remove_port(spec.path);
  };
  try {
    auto added = open_and_attach(spec);
    if (!added) forget();
    return added;
  } catch (...) {  // no memory
    forget();
    throw;
  }
}

Result<void> PortSet::open_and_attach(const PortSpec& spec) {
  Entry entry;
  entry.name = spec.path;
  entry.spec = spec;
  entry.serial = ++serials_;
  const auto id = free_number();
  auto port = open_socket(spec, id);
  if (!port) return port.error();
  entry.port = *std::move(port);
  publish_telemetry(entry);
  return attach(id, entry);
}

Result<void> PortSet::add_tap() {
  Entry entry;
  entry.name = parts_.options.tap;
  entry.serial = ++serials_;
  entry.spec.zero_copy = ZeroCopy::off;
  return attach(free_number(), entry);
}

/// Everything that takes time or memory is done before the workers stand still. The caller ends `entry` on an error:
/// that may not be done with mutex_ held.
Result<void> PortSet::attach(std::uint16_t id, Entry& entry) {
  auto& fabric = parts_.fabric;
  const std::lock_guard guard(mutex_);
  auto fresh = id < fabric.ports.size() ? nullptr : std::make_unique<SwitchPort>();
  SwitchPort& port = fresh != nullptr ? *fresh : *fabric.ports[id];
  port.id = id;
  auto parts = make_lanes(entry, port);
  if (!parts) return parts.error();
  AddressRules rules = fabric.rules;
  for (const auto mac : entry.spec.macs) rules.bind(id, mac);
  std::vector<std::unique_ptr<RxLane>> lanes;
  lanes.reserve(fabric.lanes.size() + parts->lanes.size());
  const auto queues = std::max(fabric.tx_queues, parts->tx.back()->index() + 1);
  {
    const Standstill standstill(fabric, {lanes.capacity(), queues});
    if (!standstill.has_room()) return refused(ErrorCode::out_of_memory, "no memory for the workers' lists of ports");
    if (fresh != nullptr) fabric.ports.push_back(std::move(fresh));  // within its capacity
    port.tx = std::move(parts->tx);
    for (auto* part : {&fabric.lanes, &parts->lanes}) std::move(part->begin(), part->end(), std::back_inserter(lanes));
    fabric.lanes.swap(lanes);
    std::swap(fabric.rules, rules);
    fabric.tx_queues = queues;
    for (auto* worker : fabric.workers) worker->reset_drops(id);
    share_out(count() + 1);
    for (const auto mac : entry.spec.macs) fabric.macs->forget(mac);  // no other port may have it any more
  }
  entries_[id] = std::move(entry);
  publish(id);  // events until now found no lanes to change
  return {};
}

Result<PortSet::LaneParts> PortSet::make_lanes(Entry& entry, SwitchPort& port) {
  LaneParts parts;
  const auto indexes = free_queue_indexes(entry.spec.queue_pairs);
  for (std::uint16_t pair = 0; pair < entry.spec.queue_pairs; ++pair)
    if (auto made = make_lane(entry, port, pair, indexes[pair], parts); !made) return made.error();
  for (const auto& lane : parts.lanes) entry.lanes.push_back(lane.get());
  return parts;
}

Result<void> PortSet::make_lane(Entry& entry, SwitchPort& port, std::uint16_t pair, std::uint32_t index,
                                LaneParts& out) {
  auto& fabric = parts_.fabric;
  Worker& worker = *fabric.workers[placement_.next_in_turn()];
  TxQueueOptions tx;
  tx.sink = entry.port ? Sink{&entry.port->to_guest(pair), nullptr} : Sink{nullptr, parts_.tap};
  tx.budget = &port.budget;
  tx.owner = &worker.backlog_owner();
  tx.backlog_max = fabric.mode == Mode::learning ? backlog_switch : backlog_measuring;
  tx.index = index;
  tx.shared = fabric.workers.size() > 1;
  tx.transfers = entry.spec.zero_copy == ZeroCopy::on;
  out.tx.push_back(std::make_unique<TxQueue>(tx));

  auto lane = std::make_unique<RxLane>();
  lane->port = port.id;
  lane->pair = pair;
  lane->vring = entry.port ? &entry.port->from_guest(pair) : nullptr;
  lane->device = entry.port ? nullptr : parts_.tap;
  lane->transfers = tx.transfers;
  lane->tx = out.tx.back().get();
  out.lanes.push_back(std::move(lane));
  return worker.adopt(*out.lanes.back());
}

/// The lowest, so that they do not grow as ports come and go; ascending.
std::vector<std::uint32_t> PortSet::free_queue_indexes(std::size_t count) const {
  std::vector<bool> used(parts_.fabric.tx_queues + count);
  for (const auto& port : parts_.fabric.ports)
    for (const auto& queue : port->tx) used[queue->index()] = true;
  std::vector<std::uint32_t> indexes;
  for (std::uint32_t index = 0; indexes.size() < count; ++index)
    if (!used[index]) indexes.push_back(index);
  return indexes;
}

/// What ports have a share of. During a Standstill, or before the workers run.
void PortSet::share_out(std::size_t ports) noexcept {
  for (auto& port : parts_.fabric.ports) port->budget.limit = backlog_share(parts_.backlog_segments_all, ports);
  parts_.fabric.macs->set_ports(static_cast<unsigned>(ports));
}

Result<PortSnapshot> PortSet::remove(const std::string& name) {
  const std::lock_guard alone(changing_);
  if (auto may = may_change(); !may) return may.error();
  Entry entry;
  LaneParts parts;
  PortSnapshot last;
  std::uint16_t id = 0;
  {
    const std::lock_guard guard(mutex_);
    const auto found = find(name);
    if (!found)
      return refused(ErrorCode::invalid_argument, fmt::format("there is no port '{}': `ports` lists them", name));
    id = *found;
    if (entries_[id].port == nullptr)
      return refused(ErrorCode::unsupported, fmt::format("'{}' is the TAP: it stays while the switch runs", name));
    last = snapshot_of(id);
    parts = detach(id);
    std::swap(entry, entries_[id]);
  }
  // From here on only this function knows the port. Its events find no lanes.
  parts = {};
  entry.published.reset();
  entry.port.reset();
  parts_.fabric.macs->forget_port(id);
  rules_.remove(name);
  parts_.events.remove_port(name);
  return last;
}

/// Not with mutex_ held: it waits for the control thread.
Result<void> PortSet::disconnect(const std::string& name) {
  const std::lock_guard alone(changing_);
  Port* port = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto found = find(name);
    if (found) port = entries_[*found].port.get();
  }
  if (port == nullptr)
    return refused(ErrorCode::invalid_argument, fmt::format("there is no port '{}' with a front-end's socket", name));
  if (port->disconnect()) return {};
  return refused(ErrorCode::closed, fmt::format("port '{}' has no front-end", name));
}

/// Workers know nothing of the port afterwards. With mutex_ held.
PortSet::LaneParts PortSet::detach(std::uint16_t id) {
  auto& fabric = parts_.fabric;
  LaneParts parts;
  parts.lanes.reserve(entries_[id].lanes.size());
  {
    const Standstill standstill(fabric, {});
    for (auto& lane : fabric.lanes)
      if (lane->port == id) parts.lanes.push_back(std::move(lane));
    std::erase(fabric.lanes, nullptr);
    fabric.ports[id]->ready.publish({});
    parts.tx = std::move(fabric.ports[id]->tx);
    fabric.ports[id]->tx.clear();
    fabric.rules.release(id);
    share_out(std::max<std::size_t>(1, count() - 1));
  }
  entries_[id].lanes.clear();
  return parts;
}

/// With mutex_ held, or on the thread that adds ports. There is one: ports_max() was looked at.
std::uint16_t PortSet::free_number() const {
  const auto free =
      std::find_if(entries_.begin(), entries_.end(), [](const auto& entry) { return entry.name.empty(); });
  return static_cast<std::uint16_t>(free - entries_.begin());
}

std::size_t PortSet::count() const noexcept {
  const auto used =
      std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) { return !entry.name.empty(); });
  return static_cast<std::size_t>(used);
}

std::size_t PortSet::ports_max() const noexcept { return ports_for(parts_.backlog_segments_all); }

}  // namespace vhostx::tools
