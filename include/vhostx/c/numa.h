// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// What an application brings along when its guests' memory is on several NUMA nodes: mempools and lcores by node.
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

/// Mempools for mbufs, one a NUMA node, made when they are first asked for. EAL is running.
typedef struct vhostx_mempools vhostx_mempools;

/// How they shall be. vhostx_mempools_options_init() sets the defaults, which stand last in each line.
typedef struct vhostx_mempools_options {
  size_t size;         ///< Of this struct, as the caller knows it.
  const char* name;    ///< Of the pools: "<name>_<node>". 1 to 20 bytes. "vhostx".
  uint32_t mbufs;      ///< In each pool, 1 to 2^28. 8192.
  uint32_t cache;      ///< mbufs that each lcore keeps, 0 to 512, at most two thirds of the pool. 256.
  uint16_t data_room;  ///< Bytes of each mbuf with its headroom, 256 to 65535. 2176.
  uint16_t pools_max;  ///< 1 to 64: further nodes use the pool of another one. 8.
  uint32_t reserved;   ///< 0.
} vhostx_mempools_options;

/// A pool, and where it is.
typedef struct vhostx_mempool_choice {
  struct rte_mempool* pool;  ///< The pool; vhostx_mempools' own.
  int node;  ///< Where most of its memory is, as the kernel says; VHOSTX_NO_NODE: it does not (no NUMA, seccomp).
  char problem[252];  ///< Why it is another node than the one asked for; "": it is that one.
} vhostx_mempool_choice;

/// Sets all defaults. `size` is sizeof *options; what the library does not know of it becomes 0. Any thread.
void vhostx_mempools_options_init(vhostx_mempools_options* options, size_t size);

/// Makes a set without a pool. `options`: null for the defaults; not needed after the call. Null:
/// VHOSTX_INVALID_ARGUMENT (an option, with its range), VHOSTX_UNSUPPORTED (an option that only a newer library knows),
/// VHOSTX_OUT_OF_MEMORY. Any thread.
vhostx_mempools* vhostx_mempools_create(const vhostx_mempools_options* options, vhostx_error* error);
/// Frees the pools: no mbuf of theirs is in use any more. Any thread.
void vhostx_mempools_destroy(vhostx_mempools* mempools);

/// The pool of this node; VHOSTX_NO_NODE: any. Where there is no memory on that node, or there are pools_max already,
/// the pool of another node, and `problem` says so. A node that had no memory is tried again after a second. Without
/// huge pages EAL does not ask for memory by node: then there is one pool for all. `size`: sizeof *choice. Error:
/// VHOSTX_OUT_OF_MEMORY (no node has memory for a pool). Any thread; it allocates and takes a lock: not for the data
/// path.
int vhostx_mempools_on(vhostx_mempools* mempools, int node, vhostx_mempool_choice* choice, size_t size,
                       vhostx_error* error);

/// Pool number `index` of those that were made, in the order in which they were; `node`, if it is not null, becomes
/// where it is. Null: there are no more, or there is no memory to look. Any thread; takes a lock.
struct rte_mempool* vhostx_mempools_pool(const vhostx_mempools* mempools, size_t index, int* node);

/// Writes up to `count` nodes of this machine that have memory which this process may use (its cpuset), ascending, and
/// returns how many there are; node 0 alone where the kernel has no NUMA or forbids the question. 0: there is no memory
/// to look. Any thread.
size_t vhostx_memory_nodes(int* nodes, size_t count);

/// The node of a CPU of this machine; VHOSTX_NO_NODE: not known. Any thread.
int vhostx_node_of_cpu(unsigned cpu);

/// The node of an lcore of EAL, by the CPU that it runs on; VHOSTX_NO_NODE: it runs on several nodes, or not known. Any
/// thread.
int vhostx_node_of_lcore(unsigned lcore);

/// Writes those of the `count` lcores at `candidates` that are on this node to `lcores`, which has room for as many and
/// may be `candidates` itself. Returns how many. Any thread.
size_t vhostx_lcores_on(int node, const unsigned* candidates, size_t count, unsigned* lcores);

/// Which of the `count` lcores at `candidates` (their position there) a vring on `node` is best served by, `loads`
/// being their present loads, in any unit that adds up (vrings, packets a second): the least loaded one on that node;
/// where none is there, or the node is not known, the least loaded of all. 0 where `count` is 0, or there is no memory
/// to choose. Any thread.
size_t vhostx_choose_lcore(int node, const unsigned* candidates, const uint64_t* loads, size_t count);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
