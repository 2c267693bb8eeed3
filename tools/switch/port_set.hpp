// SPDX-License-Identifier: BSD-3-Clause
// PortSet: the sockets of the switch, their lanes, and what their events change for the workers.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <vhostx/backend.hpp>
#include <vhostx/telemetry.hpp>

#include "tools/switch/event_queue.hpp"
#include "tools/switch/fabric.hpp"
#include "tools/switch/lane_placement.hpp"
#include "tools/switch/snapshot.hpp"
#include "tools/switch/worker.hpp"

namespace vhostx::tools {

/// Everything passed in outlives it.
class PortSet {
 public:
  struct Parts {
    const Options& options;
    Fabric& fabric;  ///< Its `ports` are there, without queues, and its `workers`.
    EventQueue& events;
    FrameDevice* tap = nullptr;
    std::uint32_t backlog_segments = 0;  ///< For each port.
  };

  /// Opens all sockets and hands their lanes round to the workers; from then on a lane follows its guest's memory.
  /// Errors: those of Backend::open_port.
  static Result<std::unique_ptr<PortSet>> open(const Parts& parts);

  explicit PortSet(const Parts& parts) : parts_(parts), placement_(parts.fabric) {}
  /// The workers have ended.
  ~PortSet();
  PortSet(const PortSet&) = delete;
  PortSet& operator=(const PortSet&) = delete;

  /// Of all ports, the TAP last.
  std::vector<PortSnapshot> snapshots() const;
  /// The TAP's link has changed: workers are told. One that is gone is neither polled nor watched any more.
  void tap_changed();
  /// Lanes that have another worker since the last call. One thread.
  std::vector<LaneMove> take_moves() { return placement_.take_moves(); }

 private:
  struct Entry {
    std::unique_ptr<Port> port;              ///< None for the TAP.
    std::optional<PublishedPort> published;  ///< In DPDK's telemetry.
    std::vector<RxLane*> lanes;
  };

  Result<void> open_sockets();
  static void publish_telemetry(Entry& entry);
  Result<void> add_port(std::uint16_t id, std::uint16_t pairs);
  Result<void> add_lane(Entry& entry, std::uint16_t id, std::uint16_t pair);
  void on_event(std::uint16_t id, Port& port, const PortEvent& event);
  void publish_all();
  void publish(std::uint16_t id);
  void follow(std::uint16_t id);
  PortSnapshot snapshot_of(std::uint16_t id) const;
  void add_vrings(const Entry& entry, PortSnapshot& out) const;
  void add_drops(std::uint16_t id, PortSnapshot& out) const;

  const Parts parts_;
  std::mutex mutex_;  // publish() and follow() against themselves; never held by a worker, nor while anything is opened
                      // or closed
  bool built_ = false;  // under mutex_: lanes are there
  std::unique_ptr<Backend> backend_;
  std::vector<Entry> entries_;  // as fabric.ports
  LanePlacement placement_;     // follow() under mutex_, take_moves() on the main thread
};

}  // namespace vhostx::tools
