// SPDX-License-Identifier: BSD-3-Clause
// Reporter: what the main thread prints, as text or as JSON lines, and when.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/switch/event_queue.hpp"
#include "tools/switch/lane_moved.hpp"
#include "tools/switch/options.hpp"
#include "tools/switch/output.hpp"
#include "tools/switch/snapshot.hpp"

namespace vhostx::tools {

class Reporter {
 public:
  /// `take_snapshot` is called for each report.
  /// `output` outlives it.
  Reporter(const Options& options, Output& output, std::function<Snapshot()> take_snapshot)
      : json_(options.json), period_s_(options.stats_s), output_(output), take_snapshot_(std::move(take_snapshot)) {}

  void ready(const Ready& ready, double seconds);
  void events(const std::vector<TimedEvent>& events);
  void link(const LinkChanged& changed);
  void lanes(const std::vector<LaneMoved>& moved);
  /// The placement table, if what was told since the last time has changed it.
  void placement();
  /// The live report, if it is due.
  void live(double seconds);
  void summary();

  /// When live() is due next, seconds since the switch began.
  std::optional<double> next_due() const;

 private:
  void write(std::string text) { output_.write(std::move(text)); }

  const bool json_;
  const std::optional<double> period_s_;
  Output& output_;
  const std::function<Snapshot()> take_snapshot_;
  double live_at_ = 0;
  Snapshot before_;
  bool placement_told_ = false;
  bool placement_changed_ = false;
};

}  // namespace vhostx::tools
