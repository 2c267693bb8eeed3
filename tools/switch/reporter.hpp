// SPDX-License-Identifier: BSD-3-Clause
// Reporter: what the main thread prints, as text or as JSON lines, and when.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/common/output.hpp"
#include "tools/switch/event_queue.hpp"
#include "tools/switch/lane_moved.hpp"
#include "tools/switch/options.hpp"
#include "tools/switch/snapshot.hpp"
#include "tools/switch/terminal.hpp"

namespace vhostx::tools {

class Reporter {
 public:
  /// `take_snapshot` is called for each report.
  /// `output` outlives it.
  Reporter(const Options& options, Output& output, std::function<Snapshot()> take_snapshot)
      : json_(options.json), period_s_(options.stats_s), output_(output), take_snapshot_(std::move(take_snapshot)) {}

  /// From ready() to summary() the live reports are shown in place there, and what else is told with them.
  void show_on(std::unique_ptr<Terminal> terminal) { terminal_ = std::move(terminal); }

  /// From now on `tell` gets each event too, as JSON with a text, while `is_wanted` says so.
  void follow(std::function<bool()> is_wanted, std::function<void(std::string)> tell) {
    is_followed_ = std::move(is_wanted);
    tell_ = std::move(tell);
  }

  void ready(const Ready& ready, double seconds);
  void events(const std::vector<TimedEvent>& events);
  void link(const LinkChanged& changed);
  void port_changed(const PortChanged& change);
  void lanes(const std::vector<LaneMoved>& moved);
  /// The placement table, if what was told since the last time has changed it.
  void placement();
  /// The live report, if it is due.
  void live(double seconds);
  void summary();

  /// Shows the last live report again: the terminal has another size, or was left and is back.
  void redraw();
  /// Gives the terminal back until redraw().
  void leave_terminal();

  /// When live() is due next, seconds since the switch began.
  std::optional<double> next_due() const;

 private:
  void write(std::string text);
  void tell(const std::string& object, std::string text);

  const bool json_;
  const std::optional<double> period_s_;
  Output& output_;
  const std::function<Snapshot()> take_snapshot_;
  std::function<bool()> is_followed_ = [] { return false; };
  std::function<void(std::string)> tell_;
  double live_at_ = 0;
  Snapshot before_;
  std::unique_ptr<Terminal> terminal_;  ///< Null: line by line.
  bool on_terminal_ = false;
  Snapshot shown_;  ///< On the terminal, with what came since shown_before_.
  Snapshot shown_before_;
  bool placement_told_ = false;
  bool placement_changed_ = false;
};

}  // namespace vhostx::tools
