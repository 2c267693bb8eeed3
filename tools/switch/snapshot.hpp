// SPDX-License-Identifier: BSD-3-Clause
// Snapshot: the switch's state at one moment, as the reports show it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <vhostx/placement.hpp>
#include <vhostx/vring.hpp>

#include "tools/switch/frame_device.hpp"

namespace vhostx::tools {

/// Packets that the switch gave up, by cause, at the port concerned. The table below is the only list.
struct SwitchDrops {
  std::uint64_t ring_full = 0;        // the guest's ring was full for longer than the backlog lasts
  std::uint64_t few_buffers = 0;      // the packet needed more buffers than the guest had posted for 100 ms
  std::uint64_t not_ready = 0;        // no guest took packets at the destination
  std::uint64_t flood_not_ready = 0;  // the same, of a packet that is for all ports
  std::uint64_t same_port = 0;        // the destination is behind the port that the packet came from
  std::uint64_t malformed = 0;        // shorter than an Ethernet header
  std::uint64_t foreign_source = 0;   // from a port that may not use the source address
};

struct SwitchDropInfo {
  const char* name;  ///< Stable; used in JSON.
  std::uint64_t SwitchDrops::*value;
};
inline constexpr SwitchDropInfo switch_drop_causes[]{
    {"ring_full", &SwitchDrops::ring_full},          {"few_buffers", &SwitchDrops::few_buffers},
    {"not_ready", &SwitchDrops::not_ready},          {"flood_not_ready", &SwitchDrops::flood_not_ready},
    {"same_port", &SwitchDrops::same_port},          {"malformed", &SwitchDrops::malformed},
    {"foreign_source", &SwitchDrops::foreign_source}};

/// A started vring: where its guest's memory and its state are, and who serves it with what.
struct VringRow {
  std::uint16_t index = 0;
  VringPlacement placement;
  std::uint16_t worker = 0;
  unsigned lcore = 0;
  int lcore_node = no_node;
  int mempool_node = no_node;  ///< Of the worker's pool.
};

/// The pool that the workers of one node use. One pool stands here several times where it serves several nodes.
struct PoolRow {
  int node = no_node;  ///< Where it is.
  int asked_node = no_node;
  std::uint32_t mbufs = 0;
  std::uint32_t in_use = 0;
  std::string problem;  ///< Why the two differ.
  std::vector<MemoryArea> memory;
};

struct WorkerRow {
  std::uint16_t worker = 0;
  unsigned lcore = 0;
  int node = no_node;
  int tid = 0;  ///< The kernel's.
};

/// Any vring.
struct VringCounts {
  std::uint16_t index = 0;
  VringState state;
  VringStats stats;
  LoanState loans;
  int node = no_node;  ///< Of the guest's memory.

  bool is_from_guest() const noexcept { return (index & 1u) != 0; }
};

struct PortSnapshot {
  std::string name;
  std::uint16_t queue_pairs = 1;
  bool is_client = false;    ///< The front-end listens.
  std::uint64_t serial = 0;  ///< Another one for each port that was opened, also under the same name.
  bool is_tap = false;
  LinkState link = LinkState::up;  ///< Of the TAP.
  bool connected = false;
  std::uint64_t connections = 0;
  std::uint64_t features = 0;           ///< Negotiated, of virtio.
  std::uint64_t protocol_features = 0;  ///< Negotiated, of vhost-user.
  std::uint16_t vrings_started = 0;
  std::uint16_t vrings_broken = 0;
  std::uint32_t memory_regions = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t releases_pending = 0;  ///< See PortInfo.
  std::string last_error;              ///< See PortInfo.
  std::uint32_t stations = 0;          ///< MAC addresses learned there.
  VringStats from_guest;               ///< All queue pairs together.
  VringStats to_guest;
  SwitchDrops drops;
  std::vector<VringCounts> vrings;  ///< All, by index; the TAP has none.
  std::vector<VringRow> placement;  ///< Started vrings, by index.
};

/// The TAP's link, as the reports tell that it has changed.
struct LinkChanged {
  double seconds = 0;  ///< Since the switch began, when it was noticed.
  std::string port;
  LinkState link = LinkState::up;
  std::string problem;  ///< What the kernel said; empty: up.
};

/// A port came or went while the switch ran.
struct PortChanged {
  double seconds = 0;  ///< Since the switch began.
  std::string port;
  bool added = false;
};

/// What does not change once the switch is ready.
struct Ready {
  std::vector<std::string> sockets;
  std::string memory;   ///< For people: what memory EAL has.
  std::string metrics;  ///< Where they are served; empty: nowhere.
  std::string control;  ///< The control socket's path; empty: none.
};

struct Snapshot {
  double seconds = 0;  ///< Since the switch began.
  std::vector<PortSnapshot> ports;
  std::uint32_t open_fds = 0;
  std::uint32_t mbufs_in_use = 0;
  std::uint64_t events_lost = 0;  ///< Left out, because they came too fast.
  std::size_t numa_nodes = 1;     ///< Of the machine, with memory.
  std::vector<PoolRow> mempools;
  std::vector<WorkerRow> workers;
};

/// The port in an earlier snapshot; null: it was not there, or it was another one of that name.
inline const PortSnapshot* find_same(const Snapshot& earlier, const PortSnapshot& port) noexcept {
  for (const auto& one : earlier.ports)
    if (one.serial == port.serial && one.name == port.name) return &one;
  return nullptr;
}

}  // namespace vhostx::tools
