// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// On which NUMA nodes a guest's memory and the library's own state for it lie. Nodes are numbered as the kernel does
/// (/sys/devices/system/node).
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// In place of a node.
enum vhostx_node {
  VHOSTX_NO_NODE = -1  ///< Not known, or none.
};

/// What the library does about NUMA; see vhostx_port_options::numa.
enum vhostx_numa_policy {
  VHOSTX_NUMA_FOLLOW = 0,  ///< Looks where the guest's memory is, and moves its own state for a vring there.
  VHOSTX_NUMA_REPORT = 1,  ///< Looks, and moves nothing.
  VHOSTX_NUMA_OFF = 2      ///< Does not look.
};

/// Pages on one node.
typedef struct vhostx_node_pages {
  int node;        ///< The node.
  uint32_t pages;  ///< How many.
} vhostx_node_pages;

/// How many of the pages that were looked at lie on which node.
typedef struct vhostx_node_histogram {
  const vhostx_node_pages* nodes;  ///< Those with pages, ascending by node.
  size_t count;                    ///< Entries at `nodes`.
  uint32_t absent;                 ///< Not in memory: never touched, or not yet by this process.
  uint32_t unknown;                ///< The kernel did not say.
} vhostx_node_histogram;

/// Pages on this node. Any thread.
uint32_t vhostx_node_histogram_on(const vhostx_node_histogram* histogram, int node);
/// Pages on any node; without the absent and the unknown. Any thread.
uint32_t vhostx_node_histogram_placed(const vhostx_node_histogram* histogram);
/// The node with most pages, of several the lowest; VHOSTX_NO_NODE: none is placed. Any thread.
int vhostx_node_histogram_main_node(const vhostx_node_histogram* histogram);

/// Memory of this process.
typedef struct vhostx_memory_area {
  uintptr_t address;  ///< Of its first byte.
  size_t bytes;       ///< Its length.
} vhostx_memory_area;

/// One vring, as it was last looked at. Made by the library, which may add members at the end.
typedef struct vhostx_vring_placement {
  vhostx_node_histogram ring;     ///< Pages of descriptor table, avail ring and used ring.
  vhostx_node_histogram buffers;  ///< Pages of a sample of the packet buffers that the driver posted last.
  vhostx_node_histogram state;    ///< Pages of the library's own state for this vring.
  int ring_node;                  ///< Of most of the ring's pages.
  int wanted_node;                ///< Where the state should be; VHOSTX_NO_NODE: not known, or nothing runs.
  int state_node;                 ///< Where all of the state is; VHOSTX_NO_NODE: not known, or on several nodes.
  uint32_t moved;                 ///< Pages that the last move took to the wanted node.
  int move_errno;       ///< Of the last move, or of the look before it; 0: none, which the kernel also says of
                        ///< a full node.
  const char* problem;  ///< Why the state is not where it should be, or why nothing is known; "": all well.
  const vhostx_memory_area* state_areas;  ///< Where the state lies, as in /proc/self/numa_maps. An area stays where it
                                          ///< is for as long as it is used; a ring that lends has one more.
  size_t state_area_count;                ///< Entries at `state_areas`.
} vhostx_vring_placement;

/// Frees what vhostx_vring_get_placement() made. Not for the one of an event. Any thread.
void vhostx_vring_placement_free(vhostx_vring_placement* placement);

/// One region of guest memory. Made by the library, which may add members at the end.
typedef struct vhostx_region_placement {
  uint64_t guest_address;        ///< Its first guest physical address.
  uint64_t bytes;                ///< Its length.
  uint64_t page_bytes;           ///< Length of a page of it.
  vhostx_node_histogram sample;  ///< At most 64 pages, evenly spread.
} vhostx_region_placement;

/// All regions of a guest. Made by the library, which may add members at the end.
typedef struct vhostx_memory_placement {
  const vhostx_region_placement* const* regions;  ///< One pointer a region.
  size_t count;                                   ///< How many.
} vhostx_memory_placement;

/// Frees what vhostx_port_get_memory_placement() made. Any thread.
void vhostx_memory_placement_free(vhostx_memory_placement* placement);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
