// SPDX-License-Identifier: BSD-3-Clause
// Reporter: each report is written and flushed whole.
#include "tools/switch/reporter.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "tools/switch/report_json.hpp"
#include "tools/switch/report_text.hpp"

namespace vhostx::tools {

void Reporter::write(const std::string& text) {
  if (output_lost_) return;
  output_lost_ = std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0;
}

void Reporter::ready(const std::vector<std::string>& sockets, const std::string& memory, double seconds) {
  before_ = take_snapshot_();
  live_at_ = seconds;
  if (json_) return write(json_ready(sockets, memory, seconds) + "\n");
  write(fmt::format("vhostx-switch: memory: {}\nvhostx-switch: ready, {} port{}; Ctrl-C ends it\n", memory,
                    before_.ports.size(), before_.ports.size() == 1 ? "" : "s"));
}

void Reporter::events(const std::vector<TimedEvent>& events) {
  for (const auto& event : events) write(json_ ? json_event(event) + "\n" : text_event(event));
}

std::optional<double> Reporter::next_due() const {
  if (!period_s_) return {};
  return live_at_ + *period_s_;
}

void Reporter::live(double seconds) {
  if (!period_s_ || seconds < live_at_ + *period_s_) return;
  live_at_ = std::max(live_at_ + *period_s_, seconds - *period_s_);  // late ones are not made up for
  auto now = take_snapshot_();
  write(json_ ? json_report("stats", now) + "\n" : text_live(now, before_));
  before_ = std::move(now);
}

void Reporter::summary() {
  const auto total = take_snapshot_();
  write(json_ ? json_report("summary", total) + "\n" : text_summary(total));
}

}  // namespace vhostx::tools
