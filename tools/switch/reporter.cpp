// SPDX-License-Identifier: BSD-3-Clause
// Reporter: each report is handed over whole.
#include "tools/switch/reporter.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "tools/switch/report_json.hpp"
#include "tools/switch/report_placement.hpp"
#include "tools/switch/report_text.hpp"

namespace vhostx::tools {

void Reporter::ready(const Ready& ready, double seconds) {
  before_ = take_snapshot_();
  live_at_ = seconds;
  if (json_) return write(json_ready(ready, seconds) + "\n");
  if (!ready.control.empty()) write(fmt::format("vhostx-switch: control: {}\n", ready.control));
  if (!ready.metrics.empty()) write(fmt::format("vhostx-switch: metrics: {}\n", ready.metrics));
  write(fmt::format("vhostx-switch: memory: {}\nvhostx-switch: ready, {} port{}; Ctrl-C ends it\n", ready.memory,
                    before_.ports.size(), before_.ports.size() == 1 ? "" : "s"));
  shown_ = shown_before_ = before_;
  redraw();
}

void Reporter::write(std::string text) {
  if (terminal_ == nullptr) return output_.write(std::move(text));
  terminal_->note(text);
}

void Reporter::redraw() {
  if (terminal_ == nullptr || !output_.has_room() || !terminal_->is_in_foreground()) return;
  if (!std::exchange(on_terminal_, true)) output_.write(terminal_->enter());
  output_.write(terminal_->frame(shown_, shown_before_));
}

void Reporter::leave_terminal() {
  if (std::exchange(on_terminal_, false)) output_.write(terminal_->leave());
}

void Reporter::events(const std::vector<TimedEvent>& events) {
  for (const auto& event : events) {
    if (event.left_out != 0) tell(json_left_out(event), text_left_out(event));
    tell(json_event(event), text_event(event));
    placement_changed_ |= std::holds_alternative<PlacementChanged>(event.event);
  }
}

void Reporter::link(const LinkChanged& changed) { tell(json_link(changed), text_link(changed)); }

void Reporter::port_changed(const PortChanged& change) { tell(json_port_changed(change), text_port_changed(change)); }

void Reporter::lanes(const std::vector<LaneMoved>& moved) {
  for (const auto& lane : moved) tell(json_lane_moved(lane), text_lane_moved(lane));
  placement_changed_ |= !moved.empty();
}

void Reporter::tell(const std::string& object, std::string text) {
  if (is_followed_()) tell_(with_text(object, text));
  write(json_ ? object + "\n" : std::move(text));
}

void Reporter::placement() {
  if (!std::exchange(placement_changed_, false) || json_) return;
  const auto now = take_snapshot_();
  if (now.numa_nodes > 1) write(text_placement(now));
}

std::optional<double> Reporter::next_due() const {
  if (!period_s_) return {};
  return live_at_ + *period_s_;
}

void Reporter::live(double seconds) {
  if (!period_s_ || seconds < live_at_ + *period_s_) return;
  live_at_ = std::max(live_at_ + *period_s_, seconds - *period_s_);  // late ones are not made up for
  if (!output_.has_room()) return;  // who did not read the last ones does not miss this one
  auto now = take_snapshot_();
  if (terminal_ == nullptr) write(json_ ? json_report("stats", now) + "\n" : text_live(now, before_));
  if (!json_ && !std::exchange(placement_told_, true)) write(text_placement(now));
  shown_ = now;
  shown_before_ = before_;
  redraw();
  before_ = std::move(now);
}

void Reporter::summary() {
  leave_terminal();
  if (const auto terminal = std::move(terminal_); terminal != nullptr) write(terminal->notes());
  const auto total = take_snapshot_();
  write(json_ ? json_report("summary", total) + "\n" : text_summary(total) + text_placement(total));
}

}  // namespace vhostx::tools
