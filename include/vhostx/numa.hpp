// SPDX-License-Identifier: BSD-3-Clause
// Mempools and lcores by NUMA node, for applications whose guests' memory is on several nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <vhostx/export.hpp>
#include <vhostx/placement.hpp>
#include <vhostx/result.hpp>

struct rte_mempool;

namespace vhostx {

/// Options for the pools of a MempoolsByNode.
struct MempoolsOptions {
  std::string name = "vhostx";     ///< The pools are named "<name>_<node>". 1 to 20 bytes.
  std::uint32_t mbufs = 8192;      ///< mbufs in each pool, 1 to 2^28.
  std::uint32_t cache = 256;       ///< mbufs in each lcore's cache, 0 to 512 and at most two thirds of the pool.
  std::uint16_t data_room = 2176;  ///< Bytes of data room of each mbuf, headroom included, 256 to 65535.
  std::uint16_t pools_max = 8;     ///< Most pools, 1 to 64. Further nodes share the pool of another node.
};

/// Mempools for mbufs, one per NUMA node, each created when it is first asked for. EAL must be initialised. Threads:
/// any, for all functions but the destructor. They allocate, take a lock and may throw std::bad_alloc: not for the data
/// path.
class VHOSTX_EXPORT MempoolsByNode {
 public:
  /// Creates the object, without a pool. Error: invalid_argument (an option, with its range).
  static Result<std::unique_ptr<MempoolsByNode>> create(const MempoolsOptions& options);
  /// Frees the pools. None of their mbufs may be in use.
  ~MempoolsByNode();
  MempoolsByNode(const MempoolsByNode&) = delete;
  MempoolsByNode& operator=(const MempoolsByNode&) = delete;

  /// The result of on().
  struct Choice {
    rte_mempool* pool = nullptr;  ///< Owned by the MempoolsByNode.
    int node = no_node;   ///< Node of most of its memory, as the kernel reports it; no_node: it does not report one (no
                          ///< NUMA, seccomp).
    std::string problem;  ///< Why it is not known to be the node that was asked for; empty: it is that node.
  };
  /// Returns the pool of a node; no_node: any pool. If the node has no memory for a pool, or there are pools_max pools
  /// already, returns the pool of another node, and `problem` says why. A node that had no memory is tried again after
  /// a second. Without huge pages EAL does not allocate by node: then all nodes share one pool. Error: out_of_memory
  /// (no node has memory for a pool).
  Result<Choice> on(int node);

  /// A pool that was created.
  struct Pool {
    int node = no_node;           ///< As Choice::node.
    rte_mempool* pool = nullptr;  ///< Owned by the MempoolsByNode.
  };
  /// All pools, in the order of their creation.
  std::vector<Pool> pools() const;

 private:
  struct VHOSTX_HIDDEN State;
  VHOSTX_HIDDEN explicit MempoolsByNode(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// NUMA nodes with memory that this process may use (its cpuset), ascending; {0} if the kernel has no NUMA or does not
/// allow the query. May throw std::bad_alloc. Any thread.
VHOSTX_EXPORT std::vector<int> memory_nodes();

/// NUMA node of a CPU of this machine; no_node: not known. Any thread.
VHOSTX_EXPORT int node_of_cpu(unsigned cpu) noexcept;

/// NUMA node of an EAL lcore, by the CPUs that it may run on; no_node: they are on several nodes, or not known. Any
/// thread.
VHOSTX_EXPORT int node_of_lcore(unsigned lcore) noexcept;

/// Those of `candidates` that are on this node. May throw std::bad_alloc. Any thread.
VHOSTX_EXPORT std::vector<unsigned> lcores_on(int node, std::span<const unsigned> candidates);

/// An lcore and its present load, in any additive unit (vrings, packets per second).
struct LcoreLoad {
  unsigned lcore = 0;      ///< EAL's number of the lcore.
  std::uint64_t load = 0;  ///< Load of everything that it does.
};
/// Chooses the lcore for a vring on `node`: the least loaded one on that node; if none is there, or `node` is no_node,
/// the least loaded of all. Returns its position in `candidates`, which must not be empty (asserted). May throw
/// std::bad_alloc. Any thread.
VHOSTX_EXPORT std::size_t choose_lcore(int node, std::span<const LcoreLoad> candidates);

}  // namespace vhostx
