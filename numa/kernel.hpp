// SPDX-License-Identifier: BSD-3-Clause
// Kernel: the kernel's NUMA calls, virtual so that tests can make each of them fail.
#pragma once

#include <cstddef>
#include <span>

namespace vhostx::numa {

/// The calls return 0 or an errno. Any thread.
class Kernel {
 public:
  virtual ~Kernel() = default;

  /// Whether the machine has more than one node: with one, nothing moves.
  virtual bool has_several_nodes() const noexcept;
  /// get_mempolicy(MPOL_F_NODE | MPOL_F_ADDR): the node of one page. Faults an absent page in, which allocates it if it
  /// was never touched. Use it for memory that is about to be used anyway.
  virtual int node_of(const void* address, int& node) const noexcept;
  /// move_pages(2) without targets: the node of each page, or a negated errno (-ENOENT: absent). Touches nothing. It
  /// reports pages of shared memory that this process has not touched as absent.
  virtual int query(std::span<void* const> pages, int* nodes) const noexcept;
  /// mincore(2): whether a page of shared memory is allocated, whichever process touched it. For huge pages the kernel
  /// knows only what this process has touched.
  virtual int is_resident(const void* address, bool& resident) const noexcept;
  /// mbind(MPOL_PREFERRED, MPOL_MF_MOVE): moves pages that only this process uses to `node`, as far as there is room.
  /// Pages touched later are allocated there. Preferred and not bound: with a full node, the kernel's out-of-memory
  /// killer would otherwise kill the process.
  virtual int move(void* address, std::size_t bytes, int node) const noexcept;
};

/// The running kernel.
const Kernel& kernel() noexcept;

}  // namespace vhostx::numa
