// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Mempools and lcores by NUMA node, for applications whose guests' memory is on several nodes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vhostx/c/error.h>
#include <vhostx/c/placement.h>

struct rte_mempool;

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Mempools for mbufs, one per NUMA node, each created when it is first asked for. EAL must be initialised.
typedef struct vhostx_mempools vhostx_mempools;

/// Options for mempools. vhostx_mempools_options_init() sets the defaults, which are given at the end of each line.
typedef struct vhostx_mempools_options {
  size_t size;         ///< Size of this struct in the caller's header.
  const char* name;    ///< The pools are named "<name>_<node>". 1 to 20 bytes. "vhostx".
  uint32_t mbufs;      ///< mbufs in each pool, 1 to 2^28. 8192.
  uint32_t cache;      ///< mbufs in each lcore's cache, 0 to 512 and at most two thirds of the pool. 256.
  uint16_t data_room;  ///< Bytes of data room of each mbuf, headroom included, 256 to 65535. 2176.
  uint16_t pools_max;  ///< Most pools, 1 to 64. Further nodes share the pool of another node. 8.
  uint32_t reserved;   ///< 0.
} vhostx_mempools_options;

/// A pool and its node.
typedef struct vhostx_mempool_choice {
  struct rte_mempool* pool;  ///< The pool. Owned by the vhostx_mempools.
  int node;  ///< Node of most of its memory, as the kernel reports it; VHOSTX_NO_NODE: it does not report one (no NUMA,
             ///< seccomp).
  char problem[252];  ///< Why it is not known to be the node that was asked for; "": it is that node.
} vhostx_mempool_choice;

/// Sets all defaults. `size`: sizeof *options. Options that the library does not know become 0. Any thread.
void vhostx_mempools_options_init(vhostx_mempools_options* options, size_t size);

/// Creates the object, without a pool. `options`: null for the defaults; not used after the call. Null on errors:
/// VHOSTX_INVALID_ARGUMENT (an option, with its range), VHOSTX_UNSUPPORTED (an option that only a newer library knows),
/// VHOSTX_OUT_OF_MEMORY. Any thread.
vhostx_mempools* vhostx_mempools_create(const vhostx_mempools_options* options, vhostx_error* error);
/// Frees the pools. None of their mbufs may be in use. Any thread.
void vhostx_mempools_destroy(vhostx_mempools* mempools);

/// Returns the pool of a node in `choice`; VHOSTX_NO_NODE: any pool. If the node has no memory for a pool, or there are
/// pools_max pools already, it is the pool of another node, and `problem` says why. A node that had no memory is tried
/// again after a second. Without huge pages EAL does not allocate by node: then all nodes share one pool. `size`:
/// sizeof *choice. Error: VHOSTX_OUT_OF_MEMORY (no node has memory for a pool). Allocates and takes a lock: not for the
/// data path. Any thread.
int vhostx_mempools_on(vhostx_mempools* mempools, int node, vhostx_mempool_choice* choice, size_t size,
                       vhostx_error* error);

/// The pool with number `index`, in the order of creation. Writes its node to `node`, unless that is null. Null: there
/// is no such pool, or no memory for the call. Takes a lock: not for the data path. Any thread.
struct rte_mempool* vhostx_mempools_pool(const vhostx_mempools* mempools, size_t index, int* node);

/// Writes the NUMA nodes with memory that this process may use (its cpuset) to `nodes`, ascending, at most `count`.
/// Returns how many there are. If the kernel has no NUMA or does not allow the query, that is only node 0. Returns 0 if
/// there is no memory for the call. Any thread.
size_t vhostx_memory_nodes(int* nodes, size_t count);

/// NUMA node of a CPU of this machine; VHOSTX_NO_NODE: not known. Any thread.
int vhostx_node_of_cpu(unsigned cpu);

/// NUMA node of an EAL lcore, by the CPUs that it may run on; VHOSTX_NO_NODE: they are on several nodes, or not known.
/// Any thread.
int vhostx_node_of_lcore(unsigned lcore);

/// Writes those of the `count` lcores at `candidates` that are on this node to `lcores`. That array has room for
/// `count` lcores and may be `candidates` itself. Returns how many it wrote. Any thread.
size_t vhostx_lcores_on(int node, const unsigned* candidates, size_t count, unsigned* lcores);

/// Chooses the lcore for a vring on `node`: the least loaded one on that node; if none is there, or `node` is
/// VHOSTX_NO_NODE, the least loaded of all. `candidates` has `count` lcores, and `loads` their present loads, in any
/// additive unit (vrings, packets per second). Returns the position in `candidates`; 0 if `count` is 0 or there is no
/// memory for the call. Any thread.
size_t vhostx_choose_lcore(int node, const unsigned* candidates, const uint64_t* loads, size_t count);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
