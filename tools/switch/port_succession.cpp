// SPDX-License-Identifier: BSD-3-Clause
// PortSet: ports that another process has served, or is to serve.
#include "tools/switch/port_set.hpp"
#include "tools/switch/standstill.hpp"

namespace vhostx::tools {
namespace {

using Clock = std::chrono::steady_clock;

// Of a hand-over the parts follow each other within milliseconds, on a machine that is starved within seconds. Then
// the ports that are left go on without the others.
constexpr std::chrono::seconds pause_max{5};

}  // namespace

PortSet::Ownership PortSet::count_owned() const {
  Ownership all;
  for (std::size_t id = 0; id < entries_.size(); ++id) {
    if (entries_[id].port == nullptr) continue;
    ++all.sockets;
    if (ownership_[id] == PortOwnership::standing_by || ownership_[id] == PortOwnership::yielding) ++all.standing_by;
    if (ownership_[id] == PortOwnership::handed_over) ++all.handed_over;
  }
  return all;
}

PortSet::Ownership PortSet::ownership() const {
  const std::lock_guard guard(mutex_);
  return count_owned();
}

bool PortSet::change_hands() const {
  const std::lock_guard guard(mutex_);
  return paused_since_ && count_owned().standing_by != count_owned().sockets;
}

/// On the control thread, with mutex_ held. Before a port is yielded no worker takes packets any more: what is for that
/// port waits in the other guests' rings, for the process that serves both.
void PortSet::ownership_changed(std::uint16_t id, PortOwnership ownership) {
  ownership_[id] = ownership;
  const bool whole = count_owned().standing_by == 0;
  if (whole == !paused_since_) return;
  set_paused(!whole);
  if (!whole) const Standstill every_worker_has_seen_it(parts_.fabric, {});
}

/// With mutex_ held.
void PortSet::set_paused(bool paused) {
  paused_since_ = paused ? std::optional(Clock::now()) : std::nullopt;
  parts_.fabric.paused.store(paused, std::memory_order_relaxed);
  publish_all();
}

void PortSet::pause_for_others() {
  const std::lock_guard guard(mutex_);
  if (count_owned().standing_by == 0) return;
  set_paused(true);
}

void PortSet::end_pause() {
  const std::lock_guard guard(mutex_);
  if (!paused_since_ || Clock::now() < *paused_since_ + pause_max) return;
  const auto all = count_owned();
  if (all.standing_by == all.sockets) return;
  set_paused(false);
}

std::optional<Clock::time_point> PortSet::pause_ends() const {
  const std::lock_guard guard(mutex_);
  if (!paused_since_) return {};
  return *paused_since_ + pause_max;
}

/// All at once: workers are woken once.
void PortSet::publish_all() {
  for (std::uint16_t id = 0; id < entries_.size(); ++id)
    if (!entries_[id].lanes.empty()) show_lanes(id);
  parts_.fabric.lanes_changed();
  for (auto* worker : parts_.fabric.workers) worker->wake();
  for (std::uint16_t id = 0; id < entries_.size(); ++id) follow(id);
}

void PortSet::take_over() {
  if (parts_.options.keeper_claim == KeeperClaim::take_over) backend_->take_over();
}

/// Not with mutex_ held: it waits for the control thread.
void PortSet::confirm_take_over() {
  const std::lock_guard alone(changing_);
  std::vector<Port*> ports;
  {
    const std::lock_guard guard(mutex_);
    for (auto& entry : entries_)
      if (entry.port != nullptr) ports.push_back(entry.port.get());
  }
  for (Port* const port : ports) port->confirm_take_over();
}

}  // namespace vhostx::tools
