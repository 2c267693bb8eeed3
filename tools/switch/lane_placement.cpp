// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/lane_placement.hpp"

#include <vhostx/numa.hpp>

#include "tools/switch/worker.hpp"

namespace vhostx::tools {
namespace {

// A lane whose guest runs weighs more than all that only wait for one.
constexpr std::uint64_t running_weight = std::uint64_t{1} << 32;

bool runs(const RxLane& lane) noexcept {
  return lane.receives.load(std::memory_order_relaxed) || lane.sends.load(std::memory_order_relaxed);
}

}  // namespace

std::uint16_t choose_worker(int node, std::uint16_t current, std::span<const WorkerLoad> workers) {
  if (node == no_node || workers[current].node == node) return current;
  std::vector<std::uint16_t> there;
  std::vector<LcoreLoad> loads;
  for (std::uint16_t i = 0; i < workers.size(); ++i) {
    if (workers[i].node != node || workers[i].ended) continue;
    there.push_back(i);
    loads.push_back({i, workers[i].load});
  }
  return there.empty() ? current : there[choose_lcore(no_node, loads)];
}

int node_of(const RxLane& lane) noexcept {
  if (lane.vring == nullptr) return no_node;
  const int node = lane.vring->numa_node();
  return node != no_node ? node : lane.tx->vring()->numa_node();
}

std::uint16_t LanePlacement::next_in_turn() noexcept {
  return static_cast<std::uint16_t>(next_++ % fabric_.workers.size());
}

void LanePlacement::follow(RxLane& lane, int node) {
  const auto current = lane.wanted.load(std::memory_order_relaxed);
  if (const auto chosen = choose_worker(node, current, loads()); chosen != current) move(lane, chosen);
}

void LanePlacement::move(RxLane& lane, std::uint16_t to) noexcept {
  if (lane.device != nullptr) return;
  lane.wanted.store(to, std::memory_order_relaxed);
  fabric_.lanes_changed();
  fabric_.workers[lane.worker.load(std::memory_order_relaxed)]->wake();
}

std::vector<LaneMove> LanePlacement::take_moves() {
  std::vector<LaneMove> moves;
  for (const auto& lane : fabric_.lanes) {
    const auto worker = lane->worker.load(std::memory_order_relaxed);
    const auto before = lane->reported.value_or(worker);
    if (worker != before) moves.push_back({lane->port, lane->pair, before, worker});
    if (lane->reported != worker) lane->reported = worker;  // its worker reads that line all the time
  }
  return moves;
}

std::vector<WorkerLoad> LanePlacement::loads() const {
  std::vector<WorkerLoad> loads;
  for (const auto* worker : fabric_.workers) loads.push_back({worker->options().node, 0, worker->ended()});
  for (const auto& lane : fabric_.lanes)
    loads[lane->wanted.load(std::memory_order_relaxed)].load += runs(*lane) ? running_weight : 1;
  return loads;
}

}  // namespace vhostx::tools
