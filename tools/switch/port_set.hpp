// SPDX-License-Identifier: BSD-3-Clause
// PortSet: the ports of the switch, their lanes, and what their events change for the workers.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vhostx/backend.hpp>
#include <vhostx/telemetry.hpp>

#include "tools/switch/event_queue.hpp"
#include "tools/switch/fabric.hpp"
#include "tools/switch/keepers.hpp"
#include "tools/switch/lane_moved.hpp"
#include "tools/switch/lane_placement.hpp"
#include "tools/switch/port_rules.hpp"
#include "tools/switch/snapshot.hpp"
#include "tools/switch/worker.hpp"

namespace vhostx::tools {

/// Where a station is, as it was learned.
struct LearnedAddress {
  std::uint64_t mac = 0;
  std::string port;
  unsigned age_s = 0;  ///< Since a frame came from it, rounded down.
};

/// Everything passed in outlives it. Any thread, where nothing else is said.
class PortSet {
 public:
  struct Parts {
    const Options& options;
    Fabric& fabric;  ///< Its `workers` and `macs` are there; it has no ports.
    EventQueue& events;
    FrameDevice* tap = nullptr;
    std::uint32_t backlog_segments_all = 0;  ///< Of all ports together.
  };

  /// Opens all sockets of the options and the TAP, and hands their lanes round to the workers; from then on a lane
  /// follows its guest's memory. Before the workers run. Errors: those of Backend::open_port.
  static Result<std::unique_ptr<PortSet>> open(const Parts& parts);

  explicit PortSet(const Parts& parts);
  /// The workers have ended.
  ~PortSet();
  PortSet(const PortSet&) = delete;
  PortSet& operator=(const PortSet&) = delete;

  /// Opens one more port while the workers run: they pause between two rounds for a moment. Not on a worker. Errors:
  /// those of PortRules and Backend::open_port, unsupported (the mode pairs ports), limit (ports_max()), out_of_memory.
  Result<void> add(const PortSpec& spec);
  /// Ends a port: its connection, its socket file, its learned addresses, the packets that wait for its guest. Returns
  /// its last counters. Errors: invalid_argument (no such port, or the TAP), unsupported (the mode pairs ports).
  Result<PortSnapshot> remove(const std::string& name);
  /// Ends the connection of a port's front-end; the port goes on. Errors: invalid_argument (no such port, or the TAP),
  /// closed (there is no front-end).
  Result<void> disconnect(const std::string& name);
  /// How many ports there may be, the TAP among them.
  std::size_t ports_max() const noexcept;

  /// Who serves the sockets, where a keeper holds them.
  struct Ownership {
    std::size_t sockets = 0;
    std::size_t standing_by = 0;  ///< Another process serves them.
    std::size_t handed_over = 0;  ///< The same, for good.
  };
  Ownership ownership() const;
  /// They come or go one after the other, and guests wait for the last one; for pause_ends() at most.
  bool change_hands() const;
  /// While another process serves some of the ports, no packets are taken from the others: they would be lost. Where
  /// that lasts, as somebody wants just these, the others go on: to be called now and then.
  void end_pause();
  /// Until when that is to be called next; none: nothing pauses.
  std::optional<std::chrono::steady_clock::time_point> pause_ends() const;
  /// The process that handed the ports over may end: workers run, and all that this one serves is served for good.
  void confirm_take_over();
  /// With --take-over: asks the processes that serve ports of ours to hand them over.
  void take_over();

  /// Of all ports, the TAP last.
  std::vector<PortSnapshot> snapshots() const;
  /// The TAP's link has changed: workers are told. One that is gone is neither polled nor watched any more.
  void tap_changed();
  /// Lanes that have another worker since the last call, noticed now. One thread.
  std::vector<LaneMoved> take_moves();

  /// Closes the connections that a process before left and no port took in time (--keeper systemd). Now and then.
  void drop_unclaimed() noexcept { keepers_.drop_unclaimed(); }

  /// Of the library's lines and of the switch's.
  void set_log_level(LogLevel level) noexcept;

  /// What is known behind the port; empty: behind all. Error: invalid_argument (no such port).
  Result<std::vector<LearnedAddress>> addresses(const std::string& port) const;
  /// Forgets it. Returns how many there were. Error: invalid_argument (no such port).
  Result<std::uint32_t> flush_addresses(const std::string& port);

 private:
  struct Entry {
    std::string name;  ///< Empty: no port has this number.
    std::uint64_t serial = 0;
    PortSpec spec;
    std::unique_ptr<Port> port;              ///< None for the TAP.
    std::optional<PublishedPort> published;  ///< In DPDK's telemetry.
    std::vector<RxLane*> lanes;              ///< Empty: workers do not know it (yet, or any more).
  };
  /// What workers see of a port, before or after they do.
  struct LaneParts {
    std::vector<std::unique_ptr<TxQueue>> tx;  ///< Gone before the SwitchPort's budget.
    std::vector<std::unique_ptr<RxLane>> lanes;
  };

  Result<void> make_backend();
  Result<void> add_socket(const PortSpec& spec);
  Result<void> open_and_attach(const PortSpec& spec);
  Result<void> add_tap();
  Result<std::unique_ptr<Port>> open_socket(const PortSpec& spec, std::uint16_t id);
  void move_state(const PortSpec& spec, std::uint16_t id, PortOptions& options);
  Result<void> load_state(const PortSpec& spec, std::uint16_t id, std::span<const std::byte> state);
  static void publish_telemetry(Entry& entry);
  Result<void> may_change() const;
  Result<void> may_add(const PortSpec& spec) const;

  Result<void> attach(std::uint16_t id, Entry& entry);
  Result<LaneParts> make_lanes(Entry& entry, SwitchPort& port);
  Result<void> make_lane(Entry& entry, SwitchPort& port, std::uint16_t pair, std::uint32_t index, LaneParts& out);
  std::vector<std::uint32_t> free_queue_indexes(std::size_t count) const;
  void share_out(std::size_t ports) noexcept;
  LaneParts detach(std::uint16_t id);
  std::uint16_t free_number() const;
  std::optional<std::uint16_t> find(const std::string& name) const;
  std::size_t count() const noexcept;

  void on_event(std::uint16_t id, Port& port, const PortEvent& event);
  void publish(std::uint16_t id);
  void publish_all();
  void show_lanes(std::uint16_t id);
  void set_paused(bool paused);
  void pause_for_others();
  void ownership_changed(std::uint16_t id, PortOwnership ownership);
  Ownership count_owned() const;
  void follow(std::uint16_t id);
  PortSnapshot snapshot_of(std::uint16_t id) const;
  void add_vrings(const Entry& entry, PortSnapshot& out) const;
  void add_drops(std::uint16_t id, PortSnapshot& out) const;

  const Parts parts_;
  PortRules rules_;  // of add() and remove()
  std::uint64_t serials_ = 0;
  Keepers keepers_;
  std::unique_ptr<Backend> backend_;
  std::mutex changing_;  // add(), remove() and what needs ports to stay: one at a time
  // Never held by a worker, nor while a port is opened or closed: that waits for the control thread, which takes it.
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // by port number, as fabric.ports
  std::optional<std::chrono::steady_clock::time_point> paused_since_;
  std::vector<PortOwnership> ownership_;  // the same; events may come before there is an entry
  LanePlacement placement_;
};

}  // namespace vhostx::tools
