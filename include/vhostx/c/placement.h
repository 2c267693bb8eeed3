// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// The NUMA nodes of a guest's memory and of the library's own state for it. Nodes have the kernel's numbers
/// (/sys/devices/system/node).
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// A value in place of a node.
enum vhostx_node {
  VHOSTX_NO_NODE = -1  ///< No node, or not known.
};

/// What the library does about NUMA; see vhostx_port_options::numa.
enum vhostx_numa_policy {
  VHOSTX_NUMA_FOLLOW = 0,  ///< Looks where the guest's memory is, and moves the library's state for a vring there.
  VHOSTX_NUMA_REPORT = 1,  ///< Looks, but moves nothing.
  VHOSTX_NUMA_OFF = 2      ///< Does not look.
};

/// Pages on one node.
typedef struct vhostx_node_pages {
  int node;        ///< The node.
  uint32_t pages;  ///< Number of pages.
} vhostx_node_pages;

/// How many of the examined pages are on which node.
typedef struct vhostx_node_histogram {
  const vhostx_node_pages* nodes;  ///< Nodes that have pages, ascending.
  size_t count;                    ///< Entries at `nodes`.
  uint32_t absent;                 ///< Pages not in memory: never touched, or not yet by this process.
  uint32_t unknown;                ///< Pages whose node the kernel did not report.
} vhostx_node_histogram;

/// Pages on this node. Any thread.
uint32_t vhostx_node_histogram_on(const vhostx_node_histogram* histogram, int node);
/// Pages on any node, without absent and unknown ones. Any thread.
uint32_t vhostx_node_histogram_placed(const vhostx_node_histogram* histogram);
/// The node with most pages; of several, the lowest; VHOSTX_NO_NODE: no page is placed. Any thread.
int vhostx_node_histogram_main_node(const vhostx_node_histogram* histogram);

/// An area of this process's memory.
typedef struct vhostx_memory_area {
  uintptr_t address;  ///< Address of its first byte.
  size_t bytes;       ///< Length in bytes.
} vhostx_memory_area;

/// Placement of one vring at the last look. Only the library creates it; a later version may add members at the end.
typedef struct vhostx_vring_placement {
  vhostx_node_histogram ring;     ///< Pages of the descriptor table, avail ring and used ring.
  vhostx_node_histogram buffers;  ///< Pages of a sample of the packet buffers that the driver posted last.
  vhostx_node_histogram state;    ///< Pages of the library's own state for this vring.
  int ring_node;                  ///< Node of most of the ring's pages.
  int wanted_node;      ///< Node where the state should be; VHOSTX_NO_NODE: not known, or the ring is not ready.
  int state_node;       ///< Node of the whole state; VHOSTX_NO_NODE: not known, or on several nodes.
  uint32_t moved;       ///< Pages that the last move brought to the wanted node.
  int move_errno;       ///< errno of the last move, or of the look before it. 0: none; the kernel also reports 0 for
                        ///< a full node.
  const char* problem;  ///< Why the state is not where it should be, or why nothing is known; "": no problem.
  const vhostx_memory_area* state_areas;  ///< Memory of the state, as in /proc/self/numa_maps. The address of an area
                                          ///< does not change while it is in use. A ring that lends has one more
                                          ///< area.
  size_t state_area_count;                ///< Entries at `state_areas`.
} vhostx_vring_placement;

/// Releases the result of vhostx_vring_get_placement(); null does nothing. Not for the placement of an event. Any
/// thread.
void vhostx_vring_placement_free(vhostx_vring_placement* placement);

/// Placement of one region of guest memory. Only the library creates it; a later version may add members at the end.
typedef struct vhostx_region_placement {
  uint64_t guest_address;        ///< Its first guest physical address.
  uint64_t bytes;                ///< Length in bytes.
  uint64_t page_bytes;           ///< Size of its pages, in bytes.
  vhostx_node_histogram sample;  ///< At most 64 of its pages, evenly spread.
} vhostx_region_placement;

/// Placement of all regions of a guest. Only the library creates it; a later version may add members at the end.
typedef struct vhostx_memory_placement {
  const vhostx_region_placement* const* regions;  ///< One pointer per region.
  size_t count;                                   ///< Number of regions.
} vhostx_memory_placement;

/// Releases the result of vhostx_port_get_memory_placement(); null does nothing. Any thread.
void vhostx_memory_placement_free(vhostx_memory_placement* placement);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
