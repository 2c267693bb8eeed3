// SPDX-License-Identifier: BSD-3-Clause
// Where a mempool's memory really is.
#pragma once

struct rte_mempool;

namespace vhostx::backend {

/// The node with most of the pool's pages, of a sample that the kernel is asked about; no_node: it does not say. Waits
/// for the kernel's page tables; faults nothing in.
int node_of_pool(rte_mempool* pool);

}  // namespace vhostx::backend
