// SPDX-License-Identifier: BSD-3-Clause
// VringPlacer: finds the node of the memory behind one vring, and moves the vring's own pages there.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>

#include <vhostx/placement.hpp>
#include <vhostx/port.hpp>

#include "backend/ring/running_vring.hpp"
#include "numa/kernel.hpp"

namespace vhostx::backend {

/// Control thread, except node() and last(), which any thread may call.
class VringPlacer {
 public:
  enum class Effort {
    usual,  ///< A failed move is tried again after growing pauses, as each try costs time.
    full,
  };

  VringPlacer(const PortOptions& options, const numa::Kernel& kernel) noexcept
      : kernel_(kernel),
        several_nodes_(kernel.has_several_nodes()),
        looks_(options.numa != NumaPolicy::off),
        follows_(options.numa == NumaPolicy::follow && several_nodes_) {}
  VringPlacer(const VringPlacer&) = delete;
  VringPlacer& operator=(const VringPlacer&) = delete;

  /// `state`: the vring's own pages. Returns whether the node of the guest's memory or of the state has changed since
  /// the last look, or the problem has.
  bool look(const RunningVring& running, std::span<const MemoryArea> state, Effort effort);
  /// Moves pages that were made after the last look() to the node of the others. The next look() says whether that
  /// worked.
  void move_later_pages(std::span<const MemoryArea> pages) noexcept;
  /// The ring has stopped: the node of its memory is unknown now. The state is not moved.
  void forget() noexcept;

  int node() const noexcept { return node_.load(std::memory_order_relaxed); }
  VringPlacement last() const;

 private:
  VringPlacement see(const RunningVring& running) const;
  void place(VringPlacement& placement, std::span<const MemoryArea> state, Effort effort);
  void judge(VringPlacement& placement, int look_error);
  bool may_move(int node, Effort effort) noexcept;

  const numa::Kernel& kernel_;
  const bool several_nodes_;
  const bool looks_;
  const bool follows_;
  int bound_node_ = no_node;         // the node that the memory policy of the running ring's state names
  std::uint32_t moved_ = 0;          // of the last move
  int move_error_ = 0;               // errno of the last move
  int failed_node_ = no_node;        // the last move there left pages elsewhere
  std::uint32_t looks_to_skip_ = 0;  // before it is tried again
  std::uint32_t pause_ = 0;          // looks that were skipped the last time
  std::atomic<int> node_{no_node};

  mutable std::mutex lock_;  // last() against the control thread
  VringPlacement last_;
};

}  // namespace vhostx::backend
