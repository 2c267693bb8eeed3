// SPDX-License-Identifier: BSD-3-Clause
// Kernel: the kernel's calls about NUMA, behind a seam, because no machine can be made to fail them in all ways.
#pragma once

#include <cstddef>
#include <span>

namespace vhostx::numa {

/// What the calls answer is 0, or an errno. Any thread.
class Kernel {
 public:
  virtual ~Kernel() = default;

  /// Whether the machine has more than one node: with one, nothing moves.
  virtual bool has_several_nodes() const noexcept;
  /// get_mempolicy(MPOL_F_NODE | MPOL_F_ADDR): the node of one page. A page that is absent is faulted in, and with it
  /// allocated where nobody has touched it: for memory that is about to be used anyway.
  virtual int node_of(const void* address, int& node) const noexcept;
  /// move_pages(2) without targets: of each page its node, or a negated errno (-ENOENT: absent). Touches nothing. Pages
  /// of shared memory that this process has not touched are absent to it.
  virtual int query(std::span<void* const> pages, int* nodes) const noexcept;
  /// mincore(2): whether a page of shared memory is there, whoever touched it. Of huge pages the kernel knows only what
  /// this process has touched.
  virtual int is_resident(const void* address, bool& resident) const noexcept;
  /// mbind(MPOL_PREFERRED, MPOL_MF_MOVE): pages of this process alone go to `node`, as far as there is room, and those
  /// that are touched later come from there. Preferred, and not bound: a node that is full must not mean the end of a
  /// process by the kernel's out-of-memory killer.
  virtual int move(void* address, std::size_t bytes, int node) const noexcept;
};

/// The real one.
const Kernel& kernel() noexcept;

}  // namespace vhostx::numa
