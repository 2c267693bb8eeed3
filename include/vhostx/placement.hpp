// SPDX-License-Identifier: BSD-3-Clause
// Placement: on which NUMA nodes a guest's memory and the library's own state for it lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vhostx/export.hpp>

namespace vhostx {

/// Nodes are numbered as the kernel does (/sys/devices/system/node). This one: not known, or none.
inline constexpr int no_node = -1;

/// Pages on one node.
struct NodePages {
  int node = no_node;       ///< The node.
  std::uint32_t pages = 0;  ///< How many.
  /// Whether both say the same.
  friend bool operator==(const NodePages&, const NodePages&) noexcept = default;
};

/// How many of the pages that were looked at lie on which node.
struct VHOSTX_EXPORT NodeHistogram {
  std::vector<NodePages> nodes;  ///< Those with pages, ascending by node.
  std::uint32_t absent = 0;      ///< Not in memory: never touched, or not yet by this process.
  std::uint32_t unknown = 0;     ///< The kernel did not say.

  /// Pages on this node.
  std::uint32_t on(int node) const noexcept;
  /// On any node; without the absent and the unknown.
  std::uint32_t placed() const noexcept;
  /// The node with most pages, of several the lowest; no_node: none is placed.
  int main_node() const noexcept;
  /// Whether both say the same.
  friend bool operator==(const NodeHistogram&, const NodeHistogram&) noexcept = default;
};

/// What the library does about NUMA; see PortOptions::numa.
enum class NumaPolicy {
  follow,  ///< Looks where the guest's memory is, and moves its own state for a vring there.
  report,  ///< Looks, and moves nothing.
  off,     ///< Does not look.
};

/// Memory of this process.
struct MemoryArea {
  std::uintptr_t address = 0;  ///< Of its first byte.
  std::size_t bytes = 0;       ///< Its length.
};

/// One vring, as it was last looked at.
struct VringPlacement {
  NodeHistogram ring;         ///< Pages of descriptor table, avail ring and used ring.
  NodeHistogram buffers;      ///< Pages of a sample of the packet buffers that the driver posted last.
  int ring_node = no_node;    ///< Of most of the ring's pages.
  int wanted_node = no_node;  ///< Where the state should be; no_node: not known, or nothing runs.
  int state_node = no_node;   ///< Where all of the state is; no_node: not known, or on several nodes.
  NodeHistogram state;        ///< Pages of the library's own state for this vring.
  std::uint32_t moved = 0;    ///< Pages that the last move took to the wanted node.
  int move_errno =
      0;  ///< Of the last move, or of the look before it; 0: none, which the kernel also says of a full node.
  std::string problem;  ///< Why the state is not where it should be, or why nothing is known; empty: all well.
  std::vector<MemoryArea> state_areas;  ///< Where the state lies, as in /proc/self/numa_maps. An area stays where it is
                                        ///< for as long as it is used; a ring that lends has one more.
};

/// One region of guest memory.
struct RegionPlacement {
  std::uint64_t guest_address = 0;  ///< Its first guest physical address.
  std::uint64_t bytes = 0;          ///< Its length.
  std::uint64_t page_bytes = 0;     ///< Length of a page of it.
  NodeHistogram sample;             ///< At most 64 pages, evenly spread.
};

}  // namespace vhostx
