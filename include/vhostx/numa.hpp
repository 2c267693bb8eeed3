// SPDX-License-Identifier: BSD-3-Clause
// What an application brings along when its guests' memory is on several NUMA nodes: mempools and lcores by node.
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

/// How the pools of a MempoolsByNode shall be.
struct MempoolsOptions {
  std::string name = "vhostx";     ///< Of the pools: "<name>_<node>". 1 to 20 bytes.
  std::uint32_t mbufs = 8192;      ///< In each pool, 1 to 2^28.
  std::uint32_t cache = 256;       ///< mbufs that each lcore keeps, 0 to 512, at most two thirds of the pool.
  std::uint16_t data_room = 2176;  ///< Bytes of each mbuf with its headroom, 256 to 65535.
  std::uint16_t pools_max = 8;     ///< 1 to 64: further nodes use the pool of another one.
};

/// Mempools for mbufs, one a NUMA node, made when they are first asked for. EAL is running. on() may be called from any
/// thread; it allocates and takes a lock: not for the data path.
class VHOSTX_EXPORT MempoolsByNode {
 public:
  /// Errors: invalid_argument (an option, with its range).
  static Result<std::unique_ptr<MempoolsByNode>> create(const MempoolsOptions& options);
  /// Frees the pools: no mbuf of theirs is in use any more.
  ~MempoolsByNode();
  MempoolsByNode(const MempoolsByNode&) = delete;
  MempoolsByNode& operator=(const MempoolsByNode&) = delete;

  /// What on() answers.
  struct Choice {
    rte_mempool* pool = nullptr;  ///< Owned by the MempoolsByNode.
    int node = no_node;   ///< Where most of its memory is, as the kernel says; no_node: it does not (no NUMA, seccomp).
    std::string problem;  ///< Why it is another node than the one asked for; empty: it is that one.
  };
  /// The pool of this node; no_node: any. Where there is no memory on that node, or there are pools_max already, the
  /// pool of another node, and `problem` says so. A node that had no memory is tried again after a second. Without huge
  /// pages EAL does not ask for memory by node: then there is one pool for all.
  /// Error: out_of_memory (no node has memory for a pool).
  Result<Choice> on(int node);

  /// One that was made.
  struct Pool {
    int node = no_node;           ///< As Choice::node.
    rte_mempool* pool = nullptr;  ///< Owned by the MempoolsByNode.
  };
  /// Those that were made, in the order in which they were.
  std::vector<Pool> pools() const;

 private:
  struct VHOSTX_HIDDEN State;
  VHOSTX_HIDDEN explicit MempoolsByNode(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// Nodes of this machine that have memory which this process may use (its cpuset), ascending; {0} where the kernel has
/// no NUMA or forbids the question.
VHOSTX_EXPORT std::vector<int> memory_nodes();

/// The node of a CPU of this machine; no_node: not known.
VHOSTX_EXPORT int node_of_cpu(unsigned cpu) noexcept;

/// The node of an lcore of EAL, by the CPU that it runs on; no_node: it runs on several nodes, or not known.
VHOSTX_EXPORT int node_of_lcore(unsigned lcore) noexcept;

/// Of `candidates` those on this node.
VHOSTX_EXPORT std::vector<unsigned> lcores_on(int node, std::span<const unsigned> candidates);

/// An lcore with its present load, in any unit that adds up (vrings, packets a second).
struct LcoreLoad {
  unsigned lcore = 0;      ///< EAL's number of it.
  std::uint64_t load = 0;  ///< Of all that it does.
};
/// Which of the candidates (their position in `candidates`) a vring on `node` is best served by: the least loaded one
/// on that node; where none is there, or the node is not known, the least loaded of all. `candidates` is not empty.
VHOSTX_EXPORT std::size_t choose_lcore(int node, std::span<const LcoreLoad> candidates);

}  // namespace vhostx
