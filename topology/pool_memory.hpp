// SPDX-License-Identifier: BSD-3-Clause
// Finds the node of a mempool's memory.
#pragma once

struct rte_mempool;

namespace vhostx::topology {

/// The node with most of the pool's pages, by a sample; no_node: the kernel does not say. May wait for the kernel's
/// page tables. Faults nothing in.
int node_of_pool(rte_mempool* pool);

}  // namespace vhostx::topology
