// SPDX-License-Identifier: BSD-3-Clause
// Text reports: tables that a person can read.
#include "tools/switch/report_text.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace vhostx::tools {
namespace {

using Out = std::back_insert_iterator<std::string>;

std::size_t name_width(const Snapshot& snapshot) {
  std::size_t width = 8;
  for (const auto& port : snapshot.ports) width = std::max(width, port.name.size());
  return width;
}

/// "  8 ring_full" for each cause that is not zero; `before` may be null.
std::string drops_of(const PortSnapshot& now, const PortSnapshot* before) {
  std::string text;
  const auto add = [&text](const char* side, const char* cause, std::uint64_t count) {
    if (count != 0) fmt::format_to(Out(text), "{}{} {}{}", text.empty() ? "" : ", ", count, side, cause);
  };
  for (const auto& cause : switch_drop_causes)
    add("", cause.name, now.drops.*cause.value - (before != nullptr ? before->drops.*cause.value : 0));
  for (const auto& row : vring_counters) {
    if (!row.is_drop) continue;
    add("from guest: ", row.name, now.from_guest[row.id] - (before != nullptr ? before->from_guest[row.id] : 0));
    add("to guest: ", row.name, now.to_guest[row.id] - (before != nullptr ? before->to_guest[row.id] : 0));
  }
  return text;
}

struct Rate {
  double packets;
  double bits;
};
Rate rate_of(const VringStats& now, const VringStats& before, double seconds) {
  const auto per_second = [&](VringCounter id) { return static_cast<double>(now[id] - before[id]) / seconds; };
  return {per_second(VringCounter::packets), per_second(VringCounter::bytes) * 8};
}

std::string clock(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds);
  return fmt::format("{:02}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

std::string port_state(const PortSnapshot& port) {
  if (port.is_tap) return port.link == LinkState::up ? "tap" : fmt::format("tap {}", to_string(port.link));
  if (!port.connected) return "waiting";
  if (port.vrings_broken != 0) return fmt::format("{} broken", port.vrings_broken);
  return fmt::format("{} rings", port.vrings_started);
}

std::string short_number(double value) {
  constexpr const char* prefixes[]{"", "k", "M", "G", "T", "P"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < std::size(prefixes)) {
    value /= 1000;
    ++prefix;
  }
  const int digits = prefix == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", value, digits, prefixes[prefix]);
}

std::string text_live(const Snapshot& now, const Snapshot& before) {
  const double seconds = std::max(now.seconds - before.seconds, 1e-6);
  const auto width = name_width(now);
  std::string text;
  fmt::format_to(Out(text), "{:<{}}  {:<9} {:>22}  {:>22}  dropped\n", clock(now.seconds), width, "state",
                 "from guest  pps  bit/s", "to guest  pps  bit/s");
  static const PortSnapshot nothing;
  for (const auto& port : now.ports) {
    const auto* same = find_same(before, port);
    const auto& then = same != nullptr ? *same : nothing;
    const auto in = rate_of(port.from_guest, then.from_guest, seconds);
    const auto out = rate_of(port.to_guest, then.to_guest, seconds);
    const auto drops = drops_of(port, &then);
    fmt::format_to(Out(text), "{:<{}}  {:<9} {:>15} {:>6}  {:>15} {:>6}  {}\n", port.name, width, port_state(port),
                   short_number(in.packets), short_number(in.bits), short_number(out.packets), short_number(out.bits),
                   drops.empty() ? "-" : drops);
  }
  return text;
}

std::string text_summary(const Snapshot& total) {
  const auto width = name_width(total);
  std::string text;
  fmt::format_to(Out(text), "\nSummary after {:.1f} s\n{:<{}}  {:>14} {:>18}  {:>14} {:>18}\n", total.seconds, "port",
                 width, "from guest", "bytes", "to guest", "bytes");
  for (const auto& port : total.ports) {
    fmt::format_to(Out(text), "{:<{}}  {:>14} {:>18}  {:>14} {:>18}\n", port.name, width,
                   port.from_guest[VringCounter::packets], port.from_guest[VringCounter::bytes],
                   port.to_guest[VringCounter::packets], port.to_guest[VringCounter::bytes]);
    const auto drops = drops_of(port, nullptr);
    fmt::format_to(Out(text), "{:<{}}  dropped: {}\n", "", width, drops.empty() ? "nothing" : drops);
    if (port.link != LinkState::up)
      fmt::format_to(Out(text), "{:<{}}  the interface is {}\n", "", width, to_string(port.link));
  }
  return text;
}

std::string text_left_out(const TimedEvent& event) {
  return fmt::format("{:>9.3f}  {}: {} events not told: they came too fast\n", event.seconds, event.port,
                     event.left_out);
}

std::string text_link(const LinkChanged& link) {
  return fmt::format("{:>9.3f}  {}: the interface is {}{}{}\n", link.seconds, link.port, to_string(link.link),
                     link.problem.empty() ? "" : ": ", link.problem);
}

std::string text_port_changed(const PortChanged& change) {
  return fmt::format("{:>9.3f}  {}: port {}\n", change.seconds, change.port, change.added ? "added" : "removed");
}

std::string text_event(const TimedEvent& event) {
  return fmt::format("{:>9.3f}  {}: {}\n", event.seconds, event.port, describe(event.event));
}

}  // namespace vhostx::tools
