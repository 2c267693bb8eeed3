// SPDX-License-Identifier: BSD-3-Clause
// LanePlacement: which worker serves which lane: in turn at first, then one on the node of the guest's memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <vhostx/placement.hpp>

#include "tools/switch/fabric.hpp"

namespace vhostx::tools {

/// A worker as a lane's choice sees it.
struct WorkerLoad {
  int node = no_node;
  std::uint64_t load = 0;
  bool ended = false;
};
/// The worker for a lane whose guest's memory is on `node` and which `current` serves: the least loaded one on that
/// node; `current` where it is there already, where nobody is there, and where the node is not known. Pure.
std::uint16_t choose_worker(int node, std::uint16_t current, std::span<const WorkerLoad> workers);

/// The node of a lane's guest: of its from-guest ring, else of the other one; no_node: not known, or a device's lane.
int node_of(const RxLane& lane) noexcept;

/// A lane that another worker serves than when it was last told.
struct LaneMove {
  std::uint16_t port = 0;  ///< Its number.
  std::uint16_t pair = 0;
  std::uint16_t from = 0;  ///< Workers.
  std::uint16_t to = 0;
};

/// One thread at a time, and not while lanes come or go.
class LanePlacement {
 public:
  explicit LanePlacement(Fabric& fabric) noexcept : fabric_(fabric) {}

  /// The worker whose turn it is to have a new lane.
  std::uint16_t next_in_turn() noexcept;
  /// Asks for a move if the lane's guest (its memory is on `node`) has a worker nearer by.
  void follow(RxLane& lane, int node);
  /// Asks for a move: the present worker lets go at the end of its round, then `to` takes over. Returns at once; what
  /// was asked before and not done yet is forgotten. A device's lane stays.
  void move(RxLane& lane, std::uint16_t to) noexcept;
  /// Lanes whose worker is another one than at the last call, or at the lane's first.
  std::vector<LaneMove> take_moves();

 private:
  std::vector<WorkerLoad> loads() const;

  Fabric& fabric_;
  std::uint16_t next_ = 0;
};

}  // namespace vhostx::tools
