// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_watch.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vhostx::tools::probe {
namespace {

using protocol::ProtocolFeature;
using protocol::VirtioFeature;

constexpr std::uint32_t packed_looked_at_max = 1024;
constexpr auto close_time = std::chrono::microseconds(100);

std::string name_of_peer(const Peer& peer) {
  return peer.pid == 0 ? std::string() : fmt::format("{} ({})", peer.program, peer.pid);
}

RingFacts facts_of_ring(std::uint32_t index, const RingView& view) {
  RingFacts facts;
  facts.index = index;
  facts.size = view.size;
  if (view.addresses)
    facts.addresses = RingAddresses{view.addresses->descriptor, view.addresses->available, view.addresses->used};
  if (is_logged(view)) facts.logged_at = view.addresses->log;
  facts.enabled = view.enabled;
  facts.started = view.kick_given && !view.stopped;
  return facts;
}

/// Without descriptors and counts, which the state does not have.
ConnectionFacts facts_of(std::uint32_t connection, const SessionState& state) {
  ConnectionFacts facts;
  facts.connection = connection;
  facts.name = name_of_peer(state.front_end);
  facts.features = state.features.value_or(protocol::FeatureSet());
  facts.guest_addresses = state.protocol_features && state.protocol_features->has(ProtocolFeature::gpa_addresses);
  for (const auto& [index, view] : state.rings) facts.rings.push_back(facts_of_ring(index, view));
  return facts;
}

}  // namespace

void RingWatch::take(const Event& event, const Decoded& decoded, const SessionState& state, std::vector<UniqueFd> fds) {
  if (event.kind == EventKind::closed) return forget(event.connection);
  Connection& connection = connections_[event.connection];
  std::map<FdKey, UniqueFd> kept;
  const auto keep = [&](const FdKey& key) {
    if (auto& file = kept[key]; !file) {
      if (const auto at = connection.files.find(key); at != connection.files.end()) file = std::move(at->second);
      if (key.first == decoded.number && key.second < fds.size()) file = std::move(fds[key.second]);
    }
    return kept[key].get();
  };
  auto facts = facts_of(event.connection, state);
  for (const RegionView& view : state.regions) {
    const int fd = keep({view.event, view.fd});
    facts.regions.push_back({view.region, fd, view.file.device, view.file.inode});
  }
  if (const auto& log = state.log)
    facts.log = LogFacts{log->where.mmap_size, log->where.mmap_offset, keep({log->event, 0}), log->file.device,
                         log->file.inode};
  for (RingFacts& ring : facts.rings)
    if (const auto at = connection.counts.find(ring.index); at != connection.counts.end()) ring.counts = at->second;
  auto memory = std::make_shared<const RegionMemory>(memory_of(facts));
  connection.files = std::move(kept);
  connection.log = log_memory_of(facts);
  update(connection, std::move(facts), std::move(memory));
}

void RingWatch::count(std::uint32_t connection, std::uint32_t ring, std::uint64_t kicks, std::uint64_t calls) {
  const auto at = connections_.find(connection);
  if (at == connections_.end() || (at->second.counts.size() >= Session::rings_max && !at->second.counts.count(ring)))
    return;
  RingCounts& counts = at->second.counts[ring];
  counts.kicks += kicks;
  counts.calls += calls;
  const auto known = at->second.rings.find(ring);
  if (known == at->second.rings.end()) return;
  known->second.facts.counts = counts;
  known->second.history.count(counts);
}

void RingWatch::set(ConnectionFacts facts, std::shared_ptr<const GuestMemory> memory,
                    std::shared_ptr<const GuestMemory> log) {
  Connection& connection = connections_[facts.connection];
  connection.log = std::move(log);
  update(connection, std::move(facts), std::move(memory));
}

void RingWatch::keep_only(const std::vector<std::uint32_t>& connections) {
  for (auto at = connections_.begin(); at != connections_.end();)
    at = std::find(connections.begin(), connections.end(), at->first) == connections.end() ? connections_.erase(at)
                                                                                           : std::next(at);
}

// A ring that lies elsewhere, or was stopped and started, begins anew.
void RingWatch::update(Connection& connection, ConnectionFacts facts, std::shared_ptr<const GuestMemory> memory) {
  connection.memory = std::move(memory);
  std::map<std::uint32_t, Ring> rings;
  for (const RingFacts& now : facts.rings) {
    Ring ring{now, place_of(facts, now), {}};
    const auto before = connection.rings.find(now.index);
    if (before != connection.rings.end() && before->second.place == ring.place &&
        before->second.facts.started == now.started)
      ring.history = before->second.history;
    if (before == connection.rings.end() || before->second.facts.enabled != now.enabled) ring.history.excuse();
    if (now.counts) ring.history.count(*now.counts);
    rings.emplace(now.index, std::move(ring));
  }
  facts.rings.clear();
  connection.rings = std::move(rings);
  connection.facts = std::move(facts);
}

RingSample RingWatch::sample_of(const Connection& connection, const Ring& ring) {
  RingSample sample;
  if (!ring.place)
    sample.problem = ring.facts.problem.empty() ? "not set up" : ring.facts.problem;
  else if (connection.facts.features.has(VirtioFeature::iommu_platform))
    sample.problem = "its addresses are I/O addresses (IOMMU_PLATFORM), which are not translated here";
  else if (connection.memory == nullptr)
    sample.problem = "its memory cannot be read";
  else
    return sample_ring(*connection.memory, *ring.place);
  return sample;
}

RingSample RingWatch::look_at(const Connection& connection, Ring& ring, ProbeTime now) {
  RingSample sample = sample_of(connection, ring);
  if (ring.facts.packets_at != 0 && sample.ok() && sample.packed())
    if (const auto packets = connection.memory->load<std::uint64_t>(ring.facts.packets_at))
      ring.history.count_packets(*packets);
  ring.history.look(now, sample);
  return sample;
}

void RingWatch::look(ProbeTime now) {
  for (auto& [number, connection] : connections_)
    for (auto& [index, ring] : connection.rings)
      if (ring.place && !(ring.place->packed && ring.place->size > packed_looked_at_max))
        look_at(connection, ring, now);
}

std::vector<std::pair<const RingWatch::Connection*, RingWatch::Ring*>> RingWatch::packed_rings() {
  std::vector<std::pair<const Connection*, Ring*>> rings;
  for (auto& [number, connection] : connections_)
    for (auto& [index, ring] : connection.rings)
      if (ring.place && ring.place->packed && ring.facts.started) rings.emplace_back(&connection, &ring);
  return rings;
}

void RingWatch::look_closely(const std::function<ProbeTime()>& clock) {
  const auto rings = packed_rings();
  if (rings.empty()) return;
  auto& [connection, ring] = rings[next_close_++ % rings.size()];
  const RingSample first = sample_of(*connection, *ring);
  const ProbeTime begin = clock();
  ring->history.begin_close_look(begin, first);
  for (ProbeTime now = begin; now - begin < close_time;) {
    const RingSample sample = sample_of(*connection, *ring);
    if (!sample.ok()) return;
    now = clock();
    ring->history.look_closely(now, sample);
  }
}

std::vector<RingRow> RingWatch::sample(ProbeTime now) {
  std::vector<RingRow> rows;
  for (auto& [number, connection] : connections_)
    for (auto& [index, ring] : connection.rings) rows.push_back(row_of(connection, ring, now));
  return rows;
}

std::vector<LogRow> RingWatch::logs() const {
  std::vector<LogRow> rows;
  for (const auto& [number, connection] : connections_)
    if (const auto row = sample_log(connection.facts, connection.log.get())) rows.push_back(*row);
  return rows;
}

RingRow RingWatch::row_of(const Connection& connection, Ring& ring, ProbeTime now) const {
  RingRow row;
  row.connection = connection.facts.connection;
  row.name = connection.facts.name;
  row.ring = ring.facts.index;
  row.receive = connection.facts.network && ring.facts.index % 2 == 0;
  row.size = ring.facts.size;
  row.packed = connection.facts.features.has(VirtioFeature::ring_packed);
  row.enabled = ring.facts.enabled;
  row.started = ring.facts.started;
  row.logging = connection.facts.features.has(VirtioFeature::vhost_log_all);
  row.logged_at = ring.facts.logged_at;
  row.sample = look_at(connection, ring, now);
  row.rates = ring.history.take_rates(now);
  add_notes(ring, now, row);
  return row;
}

void RingWatch::add_notes(const Ring& ring, ProbeTime now, RingRow& row) const {
  const auto since = ring.history.waiting_since();
  const bool runs = row.enabled && row.started;
  if (runs && since && now - *since >= options_.stuck_after && (!row.receive || options_.receive_too)) {
    row.stuck_for = now - *since;
    row.notes.push_back(fmt::format("stuck: avail has moved, used has not for {:.1f} s",
                                    std::chrono::duration<double>(*row.stuck_for).count()));
  }
  if (!row.sample.ok()) {
    row.notes.push_back(row.sample.problem);
    return;
  }
  if (runs && row.receive && row.sample.exact() && row.sample.in_flight == 0)
    row.notes.emplace_back("the driver has given it no buffers");
  if (!ring.facts.problem.empty()) row.notes.push_back(ring.facts.problem);
  row.notes.insert(row.notes.end(), row.sample.findings.begin(), row.sample.findings.end());
}

std::vector<ConnectionFacts> RingWatch::facts() const {
  std::vector<ConnectionFacts> all;
  for (const auto& [number, connection] : connections_) {
    all.push_back(connection.facts);
    for (const auto& [index, ring] : connection.rings) all.back().rings.push_back(ring.facts);
  }
  return all;
}

}  // namespace vhostx::tools::probe
