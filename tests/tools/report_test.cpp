// SPDX-License-Identifier: BSD-3-Clause
// Statistics as people and programs read them.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tools/switch/report_json.hpp"
#include "tools/switch/report_text.hpp"

namespace vhostx::tools {
namespace {

std::uint64_t& at(VringStats& stats, VringCounter id) { return stats.values[static_cast<std::size_t>(id)]; }

Snapshot sample(double seconds, std::uint64_t packets) {
  Snapshot snapshot;
  snapshot.seconds = seconds;
  snapshot.open_fds = 17;
  PortSnapshot port;
  port.name = "/tmp/a.sock";
  port.connected = true;
  port.features = 0x1'3000'0000;
  port.vrings_started = 2;
  at(port.from_guest, VringCounter::packets) = packets;
  at(port.from_guest, VringCounter::bytes) = packets * 64;
  at(port.from_guest, VringCounter::drop_bad_header) = packets / 1000;
  port.drops.ring_full = packets / 100;
  snapshot.ports.push_back(port);
  port.name = "tap0";
  port.is_tap = true;
  port.drops = {};
  port.from_guest = {};
  snapshot.ports.push_back(port);
  return snapshot;
}

TEST(ShortNumber, HasThreeDigitsAndAPrefix) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(999), "999");
  EXPECT_EQ(short_number(1000), "1.00k");
  EXPECT_EQ(short_number(12345), "12.3k");
  EXPECT_EQ(short_number(999'600), "1.00M");
  EXPECT_EQ(short_number(123.4e6), "123M");
  EXPECT_EQ(short_number(9.999e9), "10.0G");
}

TEST(TextReport, LiveShowsRatesAndRecentDrops) {
  const auto text = text_live(sample(12, 3'000'000), sample(10, 1'000'000));
  EXPECT_NE(text.find("00:00:12"), std::string::npos) << text;
  EXPECT_NE(text.find("/tmp/a.sock"), std::string::npos) << text;
  EXPECT_NE(text.find("1.00M"), std::string::npos) << text;  // packets a second
  EXPECT_NE(text.find("512M"), std::string::npos) << text;   // bits a second
  EXPECT_NE(text.find("20000 ring_full, 2000 from guest: drop_bad_header"), std::string::npos) << text;
  EXPECT_NE(text.find("2 rings"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

TEST(TextReport, SummaryShowsTotals) {
  const auto text = text_summary(sample(12.34, 3'000'000));
  EXPECT_NE(text.find("12.3 s"), std::string::npos) << text;
  EXPECT_NE(text.find("3000000"), std::string::npos) << text;
  EXPECT_NE(text.find("192000000"), std::string::npos) << text;
  EXPECT_NE(text.find("30000 ring_full"), std::string::npos) << text;
  EXPECT_NE(text.find("dropped: nothing"), std::string::npos) << text;  // the TAP
}

TEST(TextReport, ColumnsStandUnderEachOther) {
  for (const auto& text : {text_live(sample(2, 2000), sample(1, 1)), text_summary(sample(2, 2000))}) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);)
      if (line.find("from guest  ") != std::string::npos || line.rfind("/tmp/a.sock", 0) == 0) lines.push_back(line);
    ASSERT_EQ(lines.size(), 2u) << text;
    const auto end_of_column = lines[0].find(text[0] == '\n' ? "from guest" : "pps") + (text[0] == '\n' ? 10 : 3);
    EXPECT_NE(lines[1][end_of_column - 1], ' ') << text;
    EXPECT_EQ(lines[1][end_of_column], ' ') << text;
  }
}

TEST(JsonReport, HasTheFieldsThatProgramsRead) {
  const auto json = nlohmann::json::parse(json_report("summary", sample(12.5, 3'000'000)));
  EXPECT_EQ(json["event"], "summary");
  EXPECT_DOUBLE_EQ(json["seconds"], 12.5);
  EXPECT_EQ(json["process"]["open_fds"], 17);
  const auto& port = json["ports"][0];
  EXPECT_EQ(port["name"], "/tmp/a.sock");
  EXPECT_EQ(port["connected"], true);
  EXPECT_EQ(port["features"], "0x130000000");
  EXPECT_EQ(port["vrings_started"], 2);
  EXPECT_EQ(port["from_guest"]["packets"], 3'000'000);
  EXPECT_EQ(port["from_guest"]["drops"]["drop_bad_header"], 3000);
  EXPECT_FALSE(port["from_guest"].contains("drop_bad_header"));
  EXPECT_EQ(port["to_guest"]["bytes"], 0);
  EXPECT_EQ(port["switch_drops"]["ring_full"], 30'000);
  EXPECT_EQ(json["ports"][1]["kind"], "tap");
  for (const auto& row : vring_counters)
    EXPECT_TRUE((row.is_drop ? port["to_guest"]["drops"] : port["to_guest"]).contains(row.name)) << row.name;
}

TEST(JsonReport, IsOneLineWhateverTheSocketIsCalled) {
  auto snapshot = sample(1, 1);
  snapshot.ports[0].name = "/tmp/\xff\n\"";
  const auto text = json_report("stats", snapshot);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_TRUE(nlohmann::json::accept(text)) << text;
}

TEST(JsonReport, ReadyNamesTheSockets) {
  const auto json = nlohmann::json::parse(json_ready({"a", "b"}, "huge pages", 0.25));
  EXPECT_EQ(json["event"], "ready");
  EXPECT_EQ(json["sockets"], (nlohmann::json{"a", "b"}));
}

TEST(JsonReport, EventsCarryTheirFields) {
  const auto parsed = [](PortEvent event) { return nlohmann::json::parse(json_event({1.5, "a", std::move(event)})); };
  const auto started = parsed(VringStarted{3});
  EXPECT_EQ(started["event"], "vring_started");
  EXPECT_EQ(started["port"], "a");
  EXPECT_DOUBLE_EQ(started["seconds"], 1.5);
  EXPECT_EQ(started["vring"], 3);
  EXPECT_EQ(parsed(FrontEndConnected{})["event"], "connected");
  const auto gone = parsed(FrontEndDisconnected{Error{ErrorCode::closed, "it left", 0}});
  EXPECT_EQ(gone["event"], "disconnected");
  EXPECT_EQ(gone["code"], "closed");
  EXPECT_EQ(gone["reason"], "it left");
  const auto broken = parsed(VringBroken{1, {VringFaultCause::outside_memory, 7, 0xdead, 64}});
  EXPECT_EQ(broken["cause"], "outside_memory");
  EXPECT_EQ(broken["a"], "0xdead");
  EXPECT_EQ(parsed(RarpRequested{{2, 0, 0, 0, 0, 1}})["mac"], "02:00:00:00:00:01");
  EXPECT_EQ(parsed(FeaturesNegotiated{5})["features"], "0x5");
  EXPECT_EQ(parsed(VringEnabled{1, true})["enabled"], true);
  EXPECT_EQ(parsed(MtuSet{1400})["mtu"], 1400);
}

}  // namespace
}  // namespace vhostx::tools
