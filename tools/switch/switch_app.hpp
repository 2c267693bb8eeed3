// SPDX-License-Identifier: BSD-3-Clause
// SwitchApp: the running switch: what owns what, how it starts, waits and ends.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include "base/unique_fd.hpp"
#include "tools/common/output.hpp"
#include "tools/switch/control_commands.hpp"
#include "tools/switch/control_server.hpp"
#include "tools/switch/event_queue.hpp"
#include "tools/switch/fabric.hpp"
#include "tools/switch/metrics_server.hpp"
#include "tools/switch/node_pools.hpp"
#include "tools/switch/options.hpp"
#include "tools/switch/port_set.hpp"
#include "tools/switch/reporter.hpp"
#include "tools/switch/tap_port.hpp"
#include "tools/switch/worker.hpp"

namespace vhostx::tools {

class SwitchApp : private ControlledSwitch {
 public:
  /// EAL, pools, TAP, workers, sockets, in this order; then the workers run. `signals` is that of
  /// catch_switch_signals().
  static Result<std::unique_ptr<SwitchApp>> start(const Options& options, UniqueFd signals);

  SwitchApp(const Options& options, UniqueFd signals);
  ~SwitchApp() override;
  SwitchApp(const SwitchApp&) = delete;
  SwitchApp& operator=(const SwitchApp&) = delete;

  /// Reports until a signal, the duration's end, or until nobody reads; then the summary. False: a worker gave up.
  bool run();

 private:
  Result<void> start_parts();
  Result<void> make_pools(const std::vector<unsigned>& lcores, const PoolPlan& plan);
  Result<void> serve_metrics();
  Result<void> serve_control();
  Result<void> make_workers(const std::vector<unsigned>& lcores);
  void launch_workers(const std::vector<unsigned>& lcores);
  void stop_workers();
  bool wait();
  bool take_signals();
  void stop_here();
  void report_events(EventQueue::Take which);
  void report_link();
  std::vector<PortChanged> take_port_changes();
  void report_in_order(const std::vector<TimedEvent>& events, const std::vector<PortChanged>& changes);
  void note_port(const PortChanged& change);
  void report_lanes();
  void finish_output();
  void age_stations();
  bool duration_over() const;
  bool handed_over() const;
  void succeed();
  Result<void> try_later(const Error& error);
  void open_late_servers();
  std::optional<double> next_succession() const;
  Snapshot take_snapshot() const;

  // ControlledSwitch, on the control server's thread.
  Snapshot snapshot() override { return take_snapshot(); }
  Result<void> add_port(const std::string& spec) override;
  Result<PortSnapshot> remove_port(const std::string& name) override;
  Result<void> disconnect(const std::string& port) override { return ports_->disconnect(port); }
  Result<std::vector<LearnedAddress>> addresses(const std::string& port) override { return ports_->addresses(port); }
  Result<std::uint32_t> flush_addresses(const std::string& port) override { return ports_->flush_addresses(port); }
  LogLevel log_level() override;
  void set_log_level(LogLevel level) override;

  const Options options_;
  UniqueFd signals_;
  EventQueue events_{options_.event_rate};
  std::string memory_;
  std::optional<NodePools> pools_;
  std::unique_ptr<TapPort> tap_;
  Fabric fabric_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<unsigned> running_;  ///< Lcores that run a worker.
  std::unique_ptr<PortSet> ports_;
  Output output_{STDOUT_FILENO, [this] { events_.wake(); }};
  Reporter reporter_;
  std::unique_ptr<MetricsServer> metrics_;  ///< Its thread takes snapshots of all of the above.
  std::mutex changes_lock_;
  std::vector<PortChanged> changes_;        ///< Under changes_lock_: not reported yet.
  std::unique_ptr<ControlServer> control_;  ///< Its thread does so too, and changes the ports.
  double ready_at_ = 0;                     ///< --duration counts from here: start-up may take long on a busy machine.
  double aged_at_ = 0;
  double lanes_told_at_ = -60;  ///< The first ones at once.
  bool lanes_wait_ = false;
  LinkState link_told_ = LinkState::up;  ///< The TAP's.
  bool eal_started_ = false;
  bool worker_failed_ = false;
  std::optional<double> served_since_;  ///< With another process's ports, all of them.
  bool succeeds_ = false;               ///< They are not confirmed yet.
  std::optional<double> servers_tried_at_;
  bool servers_wait_ = false;  ///< What is missing of --control and --metrics.
};

}  // namespace vhostx::tools
