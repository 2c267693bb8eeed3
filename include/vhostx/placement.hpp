// SPDX-License-Identifier: BSD-3-Clause
// Placement: the NUMA nodes of a guest's memory and of the library's own state for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vhostx/cxx20.hpp>
#include <vhostx/export.hpp>

namespace vhostx {

/// No node, or not known. Nodes have the kernel's numbers (/sys/devices/system/node).
inline constexpr int no_node = -1;

/// Pages on one node.
struct NodePages {
  int node = no_node;       ///< The node.
  std::uint32_t pages = 0;  ///< Number of pages.
  /// Whether both are equal.
  friend bool operator==(const NodePages&, const NodePages&) noexcept = default;
};

/// How many of the examined pages are on which node.
struct VHOSTX_EXPORT NodeHistogram {
  std::vector<NodePages> nodes;  ///< Nodes that have pages, ascending.
  std::uint32_t absent = 0;      ///< Pages not in memory: never touched, or not yet by this process.
  std::uint32_t unknown = 0;     ///< Pages whose node the kernel did not report.

  /// Pages on this node. Any thread.
  std::uint32_t on(int node) const noexcept;
  /// Pages on any node, without absent and unknown ones.
  std::uint32_t placed() const noexcept;
  /// The node with most pages; of several, the lowest; no_node: no page is placed.
  int main_node() const noexcept;
  /// Whether both are equal.
  friend bool operator==(const NodeHistogram&, const NodeHistogram&) noexcept = default;
};

/// What the library does about NUMA; see PortOptions::numa.
enum class NumaPolicy {
  follow,  ///< Looks where the guest's memory is, and moves the library's state for a vring there.
  report,  ///< Looks, but moves nothing.
  off,     ///< Does not look.
};

/// An area of this process's memory.
struct MemoryArea {
  std::uintptr_t address = 0;  ///< Address of its first byte.
  std::size_t bytes = 0;       ///< Length in bytes.
};

/// Placement of one vring at the last look.
struct VringPlacement {
  NodeHistogram ring;         ///< Pages of the descriptor table, avail ring and used ring.
  NodeHistogram buffers;      ///< Pages of a sample of the packet buffers that the driver posted last.
  int ring_node = no_node;    ///< Node of most of the ring's pages.
  int wanted_node = no_node;  ///< Node where the state should be; no_node: not known, or the ring is not ready.
  int state_node = no_node;   ///< Node of the whole state; no_node: not known, or on several nodes.
  NodeHistogram state;        ///< Pages of the library's own state for this vring.
  std::uint32_t moved = 0;    ///< Pages that the last move brought to the wanted node.
  int move_errno =
      0;  ///< errno of the last move, or of the look before it. 0: none; the kernel also reports 0 for a full node.
  std::string problem;  ///< Why the state is not where it should be, or why nothing is known; empty: no problem.
  std::vector<MemoryArea>
      state_areas;  ///< Memory of the state, as in /proc/self/numa_maps. The address of an area does not
                    ///< change while the area is in use. A ring that lends has one more area.
};

/// Placement of one region of guest memory.
struct RegionPlacement {
  std::uint64_t guest_address = 0;  ///< Its first guest physical address.
  std::uint64_t bytes = 0;          ///< Length in bytes.
  std::uint64_t page_bytes = 0;     ///< Size of its pages, in bytes.
  NodeHistogram sample;             ///< At most 64 of its pages, evenly spread.
};

}  // namespace vhostx
