// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/vring_placer.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "numa/look.hpp"
#include "numa/move.hpp"
#include "virtqueue/posted_sample.hpp"

namespace vhostx::backend {
namespace {

constexpr std::size_t buffers_looked_at = 64;
constexpr std::size_t ring_pages_looked_at = 32;  // of each of the three areas

numa::Look look_at_ring(const numa::Kernel& kernel, const virtqueue::AnyLayout& layout) {
  std::vector<const std::uint8_t*> pages;
  for (const memory::HostSpan& area : layout.areas())
    numa::spread_over(area.data, area.size, ring_pages_looked_at, pages);
  return numa::look_at(kernel, pages, numa::Untouched::fault_in);
}

numa::Look look_at_buffers(const numa::Kernel& kernel, const RunningVring& running) {
  std::array<const std::uint8_t*, buffers_looked_at> sample;
  const std::size_t count = virtqueue::sample_posted(running.layout, *running.memory, sample);
  return numa::look_at(kernel, std::span(sample).first(count), numa::Untouched::if_there);
}

// The node that has all pages; no_node if several have.
int only_node(const NodeHistogram& histogram) noexcept {
  return histogram.nodes.size() == 1 && histogram.unknown == 0 ? histogram.nodes.front().node : no_node;
}

std::uint32_t all_pages(const NodeHistogram& histogram) noexcept {
  return histogram.placed() + histogram.absent + histogram.unknown;
}

std::string because(int error) { return error == 0 ? "" : ": " + std::generic_category().message(error); }

bool tells_more(const VringPlacement& before, const VringPlacement& now) noexcept {
  return before.ring_node != now.ring_node || before.wanted_node != now.wanted_node ||
         before.state_node != now.state_node || before.buffers.main_node() != now.buffers.main_node() ||
         before.move_errno != now.move_errno || before.problem != now.problem;
}

}  // namespace

bool VringPlacer::look(const RunningVring& running, std::span<const MemoryArea> state, Effort effort) {
  if (!looks_) return false;
  VringPlacement next = see(running);
  place(next, state, effort);
  next.state_areas.assign(state.begin(), state.end());
  node_.store(next.wanted_node, std::memory_order_relaxed);
  const std::lock_guard guard(lock_);
  std::swap(last_, next);
  return several_nodes_ && tells_more(next, last_);
}

VringPlacement VringPlacer::see(const RunningVring& running) const {
  VringPlacement placement;
  numa::Look ring = look_at_ring(kernel_, running.layout);
  numa::Look buffers = look_at_buffers(kernel_, running);
  placement.ring = std::move(ring.histogram);
  placement.buffers = std::move(buffers.histogram);
  placement.ring_node = placement.ring.main_node();
  placement.wanted_node = numa::wanted_node(placement.ring, placement.buffers, node());
  placement.move_errno = ring.error != 0 ? ring.error : buffers.error;
  if (placement.move_errno != 0)
    placement.problem = "the node of the guest's memory is not known" + because(placement.move_errno);
  return placement;
}

// Pages that are on the right node get a memory policy too, once: without one, the kernel's automatic balancing moves
// them to the node of a thread that uses them.
void VringPlacer::place(VringPlacement& placement, std::span<const MemoryArea> state, Effort effort) {
  const int wanted = placement.wanted_node;
  numa::Look now = numa::look_at(kernel_, state);
  const bool misplaced = only_node(now.histogram) != wanted;
  const bool follows = follows_ && wanted != no_node;
  if (follows && (misplaced ? may_move(wanted, effort) : wanted != bound_node_)) {
    numa::Move move = numa::move_to(kernel_, state, wanted);
    now = std::move(move.after);
    if (misplaced) moved_ = move.moved;
    move_error_ = move.error;
    bound_node_ = wanted;
  }
  placement.moved = moved_;
  placement.state = std::move(now.histogram);
  placement.state_node = only_node(placement.state);
  if (follows) judge(placement, now.error);
}

void VringPlacer::judge(VringPlacement& placement, int look_error) {
  const int wanted = placement.wanted_node;
  failed_node_ = placement.state_node == wanted ? no_node : wanted;
  if (placement.state_node == wanted) return;
  placement.move_errno = move_error_ != 0 ? move_error_ : look_error;
  const std::uint32_t pages = all_pages(placement.state);
  placement.problem = fmt::format("{} of {} pages of the state could not be moved to node {}{}",
                                  pages - placement.state.on(wanted), pages, wanted, because(placement.move_errno));
}

bool VringPlacer::may_move(int node, Effort effort) noexcept {
  constexpr std::uint32_t pause_max = 64;
  if (effort == Effort::full || node != failed_node_) {
    looks_to_skip_ = pause_ = 0;
    return true;
  }
  if (looks_to_skip_ != 0) {
    --looks_to_skip_;
    return false;
  }
  looks_to_skip_ = pause_ = std::min(2 * pause_ + 1, pause_max);
  return true;
}

void VringPlacer::move_later_pages(std::span<const MemoryArea> pages) noexcept {
  const int node = this->node();
  if (!follows_ || node == no_node) return;
  for (const MemoryArea& area : pages) kernel_.move(reinterpret_cast<void*>(area.address), area.bytes, node);
}

void VringPlacer::forget() noexcept {
  node_.store(no_node, std::memory_order_relaxed);
  bound_node_ = no_node;  // the next start has new pages
  const std::lock_guard guard(lock_);
  last_.ring = {};
  last_.buffers = {};
  last_.ring_node = last_.wanted_node = no_node;
  last_.problem.clear();
  last_.move_errno = 0;
}

VringPlacement VringPlacer::last() const {
  const std::lock_guard guard(lock_);
  return last_;
}

}  // namespace vhostx::backend
