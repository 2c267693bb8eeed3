// SPDX-License-Identifier: BSD-3-Clause
// Statistics in place on a terminal, and warnings at the start.
#include "tools/switch/report_screen.hpp"

#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tools/command_line.hpp"
#include "tools/switch/start_warnings.hpp"

namespace vhostx::tools {
namespace {

std::uint64_t& counter(VringStats& stats, VringCounter id) { return stats.values[static_cast<std::size_t>(id)]; }

Snapshot taken(double seconds, std::uint64_t packets, std::uint64_t ring_full, std::size_t ports = 2) {
  Snapshot one;
  one.seconds = seconds;
  one.workers.resize(1);
  for (std::size_t i = 0; i < ports; ++i) {
    PortSnapshot port;
    port.name = "/tmp/vm" + std::to_string(i) + ".sock";
    port.connected = true;
    port.vrings_started = 2;
    counter(port.from_guest, VringCounter::packets) = packets;
    counter(port.from_guest, VringCounter::bytes) = packets * 100;
    port.drops.ring_full = i == 0 ? ring_full : 0;
    one.ports.push_back(port);
  }
  return one;
}

std::vector<std::string> screen_lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(Screen, HasRatesTotalsAndDropsOfTheIntervalAndSinceTheStart) {
  const auto text = text_screen(taken(12, 3'000'000, 50), taken(10, 1'000'000, 20), {"   1.5  event"}, {120, 24});
  EXPECT_NE(text.find("up 00:00:12   2 ports, 1 worker   last 2 s"), std::string::npos) << text;
  EXPECT_NE(text.find("1.00M    800M    3.00M"), std::string::npos) << text;  // packets/s, bit/s, packets
  const auto row = text.substr(text.find("ring_full"));
  EXPECT_NE(text.find("in last 2 s"), std::string::npos) << text;
  EXPECT_NE(row.find(" 30 "), std::string::npos) << row;
  EXPECT_NE(row.find(" 50\n"), std::string::npos) << row;
  EXPECT_NE(text.find("Last events\n   1.5  event"), std::string::npos) << text;
  EXPECT_NE(text_screen(taken(12, 1, 0), taken(10, 1, 0), {}, {80, 24}).find("Dropped: nothing"), std::string::npos);
}

TEST(Screen, FitsEveryWindow) {
  const std::deque<std::string> notes(300, std::string(500, 'n'));
  for (const std::size_t columns : {1U, 20U, 80U, 300U})
    for (const std::size_t rows : {1U, 5U, 24U, 100U}) {
      const auto lines =
          screen_lines(text_screen(taken(12, 3'000'000, 50, 40), taken(10, 0, 0, 40), notes, {columns, rows}));
      EXPECT_LE(lines.size(), rows);
      for (const auto& line : lines) EXPECT_LE(line.size(), columns) << line;
    }
  const auto text = text_screen(taken(12, 0, 0, 40), taken(10, 0, 0, 40), {}, {80, 24});
  EXPECT_NE(text.find("and 24 more ports"), std::string::npos) << text;
}

TEST(Screen, WhatIsInANameDoesNotMoveTheCursor) {
  auto now = taken(1, 0, 0, 1);
  now.ports[0].name = "a\x1b[2Jb\n";
  const auto text = text_screen(now, now, {"x\ty"}, {80, 24});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("a?[2Jb?"), std::string::npos) << text;
  EXPECT_NE(text.find("x?y"), std::string::npos) << text;
}

TEST(Screen, APortThatCameMeanwhileHasTheRatesOfItsCounters) {
  const auto text = text_screen(taken(11, 5000, 0, 2), taken(10, 5000, 0, 1), {}, {120, 24});
  EXPECT_NE(text.find("5.00k   4.00M    5.00k"), std::string::npos) << text;
}

Options options_of(const std::string& line) { return accepted(line, parse_options(words_of(line))); }

TEST(StartWarnings, MoreWorkersThanCpus) {
  const auto options = options_of("--port a --workers 3");
  EXPECT_TRUE(start_warnings(options, 3, 3).empty());
  const auto warnings = start_warnings(options, 3, 2);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("3 workers share 2 CPUs"), std::string::npos) << warnings[0];
}

TEST(StartWarnings, APortWithoutAPartner) {
  EXPECT_TRUE(start_warnings(options_of("--port a --port b --mode io"), 1, 2).empty());
  EXPECT_TRUE(start_warnings(options_of("--port a"), 1, 2).empty());
  EXPECT_TRUE(start_warnings(options_of("--port a --mode io --topology loop"), 1, 2).empty());
  EXPECT_TRUE(start_warnings(options_of("--port a --mode io --tap t"), 1, 2).empty());
  for (const auto* line :
       {"--port a --mode io", "--port x --port y --port a --mode mac", "--port x --port y --tap a --mode io"}) {
    const auto warnings = start_warnings(options_of(line), 1, 2);
    ASSERT_EQ(warnings.size(), 1U) << line;
    EXPECT_NE(warnings[0].find("port a has no partner"), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("--topology loop"), std::string::npos) << warnings[0];
  }
}

}  // namespace
}  // namespace vhostx::tools
