// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/report_screen.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tools/switch/report_text.hpp"

namespace vhostx::tools {
namespace {

using Lines = std::vector<std::string>;

constexpr std::size_t name_width_max = 32;

/// Of a line, what fits: letters of several bytes count once, and what would move the cursor is a '?'.
std::string fit(std::string_view line, std::size_t columns) {
  std::string text;
  std::size_t letters = 0;
  for (const char byte : line) {
    const bool continues = (static_cast<unsigned char>(byte) & 0xc0u) == 0x80u;
    if (!continues && ++letters > columns) break;
    text += static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f ? '?' : byte;
  }
  return text;
}

/// The end of a long path says more than its beginning.
std::string short_name(const std::string& name, std::size_t width) {
  return name.size() <= width ? name : "..." + name.substr(name.size() - (width - 3));
}

const PortSnapshot& port_before(const Snapshot& before, const PortSnapshot& port) {
  static const PortSnapshot none;
  const auto* const same = find_same(before, port);
  return same == nullptr ? none : *same;
}

/// Of counters that may have begun anew.
std::uint64_t since(std::uint64_t before, std::uint64_t now) { return now >= before ? now - before : now; }

std::string direction(const VringStats& now, const VringStats& before, double seconds) {
  const auto rate = [&](VringCounter id) { return static_cast<double>(since(before[id], now[id])) / seconds; };
  return fmt::format("{:>7} {:>7} {:>8}", short_number(rate(VringCounter::packets)),
                     short_number(rate(VringCounter::bytes) * 8),
                     short_number(static_cast<double>(now[VringCounter::packets])));
}

struct Drop {
  std::string cause;
  std::uint64_t before = 0;
  std::uint64_t now = 0;
};

/// Causes that have dropped anything.
std::vector<Drop> drops_of(const PortSnapshot& now, const PortSnapshot& before) {
  std::vector<Drop> drops;
  const auto add = [&drops](std::string cause, std::uint64_t then, std::uint64_t count) {
    if (count != 0) drops.push_back({std::move(cause), then, count});
  };
  for (const auto& cause : switch_drop_causes) add(cause.name, before.drops.*cause.value, now.drops.*cause.value);
  for (const auto& row : vring_counters) {
    if (!row.is_drop) continue;
    add(fmt::format("from guest: {}", row.name), before.from_guest[row.id], now.from_guest[row.id]);
    add(fmt::format("to guest: {}", row.name), before.to_guest[row.id], now.to_guest[row.id]);
  }
  return drops;
}

class Screen {
 public:
  Screen(const Snapshot& now, const Snapshot& before, ScreenSize size)
      : now_(now), before_(before), size_(size), seconds_(std::max(now.seconds - before.seconds, 1e-6)) {
    for (const auto& port : now.ports) width_ = std::max(width_, std::min(port.name.size(), name_width_max));
  }

  std::string text(const std::deque<std::string>& notes) {
    add_head();
    add_ports();
    add_drops();
    add_notes(notes);
    std::string text;
    for (const auto& line : lines_) text += (text.empty() ? "" : "\n") + fit(line, size_.columns);
    return text;
  }

 private:
  std::size_t room() const { return size_.rows - std::min(size_.rows, lines_.size()); }

  void add(std::string line) {
    if (room() != 0) lines_.push_back(std::move(line));
  }

  void add_head() {
    const auto up = static_cast<std::uint64_t>(now_.seconds);
    add(fmt::format("vhostx-switch   up {:02}:{:02}:{:02}   {} port{}, {} worker{}   last {:.3g} s   Ctrl-C ends it",
                    up / 3600, up / 60 % 60, up % 60, now_.ports.size(), now_.ports.size() == 1 ? "" : "s",
                    now_.workers.size(), now_.workers.size() == 1 ? "" : "s", seconds_));
    add("");
    add(fmt::format("{:<{}}  {:<9}  {:<24}  {:<24}  {}", "", width_, "", "from guest", "to guest", "dropped"));
    add(fmt::format("{:<{}}  {:<9}  {:>7} {:>7} {:>8}  {:>7} {:>7} {:>8}  {:>7} {:>8}", "port", width_, "state",
                    "pkt/s", "bit/s", "packets", "pkt/s", "bit/s", "packets", "in last", "total"));
  }

  void add_ports() {
    // Two lines stay for what was dropped.
    const std::size_t most = room() > 3 ? room() - 3 : 0;
    for (std::size_t i = 0; i < now_.ports.size(); ++i) {
      const bool last = i + 1 == most && now_.ports.size() > most;
      if (last) return add(fmt::format("... and {} more ports: the window is too small", now_.ports.size() - i));
      add_port(now_.ports[i]);
    }
  }

  void add_port(const PortSnapshot& port) {
    const auto& before = port_before(before_, port);
    std::uint64_t last = 0, total = 0;
    for (const auto& drop : drops_of(port, before)) {
      last += since(drop.before, drop.now);
      total += drop.now;
    }
    add(fmt::format("{:<{}}  {:<9}  {}  {}  {:>7} {:>8}", short_name(port.name, width_), width_, port_state(port),
                    direction(port.from_guest, before.from_guest, seconds_),
                    direction(port.to_guest, before.to_guest, seconds_), short_number(static_cast<double>(last)),
                    short_number(static_cast<double>(total))));
  }

  void add_drops() {
    Lines rows;
    for (const auto& port : now_.ports)
      for (const auto& drop : drops_of(port, port_before(before_, port)))
        rows.push_back(fmt::format("{:<{}}  {:<34}  {:>12}  {:>14}", short_name(port.name, width_), width_, drop.cause,
                                   since(drop.before, drop.now), drop.now));
    add("");
    if (rows.empty()) return add("Dropped: nothing");
    add(fmt::format("{:<{}}  {:<34}  {:>12}  {:>14}", "Dropped at", width_, "cause",
                    fmt::format("in last {:.3g} s", seconds_), "since start"));
    for (auto& row : rows) add(std::move(row));
  }

  void add_notes(const std::deque<std::string>& notes) {
    if (notes.empty() || room() < 3) return;
    add("");
    add("Last events");
    const auto shown = std::min(room(), notes.size());
    for (auto note = notes.end() - static_cast<std::ptrdiff_t>(shown); note != notes.end(); ++note) add(*note);
  }

  const Snapshot& now_;
  const Snapshot& before_;
  const ScreenSize size_;
  const double seconds_;
  std::size_t width_ = 8;
  Lines lines_;
};

}  // namespace

std::string text_screen(const Snapshot& now, const Snapshot& before, const std::deque<std::string>& notes,
                        ScreenSize size) {
  return Screen(now, before, size).text(notes);
}

}  // namespace vhostx::tools
