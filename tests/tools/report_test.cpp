// SPDX-License-Identifier: BSD-3-Clause
// Statistics as people and programs read them.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tools/switch/report_json.hpp"
#include "tools/switch/report_placement.hpp"
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
  port.protocol_features = 0x1'803d;
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
  EXPECT_EQ(port["protocol_features"], "0x1803d");
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

TEST(Reports, SayWhatBecameOfTheTap) {
  auto snapshot = sample(2, 2000);
  auto& tap = snapshot.ports[1];
  EXPECT_EQ(nlohmann::json::parse(json_report("stats", snapshot))["ports"][1]["link"], "up");
  tap.link = LinkState::gone;
  tap.connected = false;
  const auto json = nlohmann::json::parse(json_report("stats", snapshot));
  EXPECT_EQ(json["ports"][1]["link"], "gone");
  EXPECT_FALSE(json["ports"][0].contains("link"));
  EXPECT_NE(text_live(snapshot, sample(1, 1)).find("tap gone"), std::string::npos);
  EXPECT_NE(text_summary(snapshot).find("the interface is gone"), std::string::npos);
  const LinkChanged changed{1.5, "tap0", LinkState::gone, "bad state"};
  EXPECT_EQ(nlohmann::json::parse(json_link(changed)),
            (nlohmann::json{{"event", "tap_gone"}, {"port", "tap0"}, {"seconds", 1.5}, {"problem", "bad state"}}));
  EXPECT_NE(text_link(changed).find("tap0: the interface is gone: bad state\n"), std::string::npos);
}

TEST(TextReport, APortThatCameMeanwhileHasRatesOfItsOwn) {
  auto before = sample(10, 1'000'000);
  auto now = sample(12, 3'000'000);
  now.ports[0].serial = 3;  // another one of that name
  at(now.ports[0].from_guest, VringCounter::packets) = 2000;
  const auto text = text_live(now, before);
  EXPECT_NE(text.find("1.00k"), std::string::npos) << text;
  before.ports.clear();
  EXPECT_EQ(text_live(now, before), text);
}

TEST(Reports, SayThatPortsCameAndWent) {
  EXPECT_EQ(json_port_changed({1.5, "a", true}), R"({"event":"port_added","port":"a","seconds":1.5})");
  EXPECT_EQ(nlohmann::json::parse(json_port_changed({1.5, "a", false}))["event"], "port_removed");
  EXPECT_NE(text_port_changed({1.5, "a", false}).find("a: port removed\n"), std::string::npos);
  EXPECT_EQ(with_text(R"({"event":"x"})", "a \"b\"\n"), R"({"event":"x","text":"a \"b\""})");
}

TEST(JsonReport, PortsOfTheControlSocket) {
  auto snapshot = sample(1, 2000);
  snapshot.ports[0].last_error = "nobody listens";
  snapshot.ports[0].is_client = true;
  snapshot.ports[0].queue_pairs = 4;
  const auto ports = nlohmann::json::parse(json_ports(snapshot));
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[0]["role"], "client");
  EXPECT_EQ(ports[0]["queue_pairs"], 4);
  EXPECT_EQ(ports[0]["last_error"], "nobody listens");
  EXPECT_EQ(ports[0]["from_guest"]["packets"], 2000);
  EXPECT_FALSE(ports[0].contains("placement"));
  EXPECT_EQ(ports[1]["kind"], "tap");
  EXPECT_EQ(nlohmann::json::parse(json_port(snapshot.ports[0])), ports[0]);
}

TEST(Reports, SayHowManyEventsWereLeftOut) {
  const TimedEvent event{1.5, "a", MtuSet{1}, 7};
  EXPECT_EQ(nlohmann::json::parse(json_left_out(event)),
            (nlohmann::json{{"event", "events_left_out"}, {"port", "a"}, {"seconds", 1.5}, {"count", 7}}));
  EXPECT_NE(text_left_out(event).find("a: 7 events not told"), std::string::npos);
}

TEST(JsonReport, ReadyNamesTheSockets) {
  const auto json = nlohmann::json::parse(json_ready({{"a", "b"}, "huge pages", "", "c"}, 0.25));
  EXPECT_EQ(json["event"], "ready");
  EXPECT_EQ(json["sockets"], (nlohmann::json{"a", "b"}));
  EXPECT_EQ(json["control"], "c");
}

VringPlacement half_moved() {
  VringPlacement placement;
  placement.buffers = {{{0, 12}, {1, 4}}, 3, 0};
  placement.ring_node = 1;
  placement.wanted_node = 1;
  placement.state = {{{0, 1}, {1, 4}}, 0, 0};
  placement.state_areas = {{0x7f0000001000, 8192}};
  placement.moved = 4;
  placement.move_errno = 12;
  placement.problem = "node 1 is full";
  return placement;
}

Snapshot on_two_nodes() {
  auto snapshot = sample(3, 1000);
  snapshot.numa_nodes = 2;
  snapshot.ports[0].placement.push_back({1, half_moved(), 2, 3, 1, 0});
  snapshot.mempools.push_back({0, 1, 8192, 3, "node 1: no memory", {{0x7f0000200000, 123}}});
  snapshot.workers.push_back({2, 3, 1, 4711});
  return snapshot;
}

TEST(JsonReport, ShowsWhereEverythingIs) {
  const auto json = nlohmann::json::parse(json_report("stats", on_two_nodes()));
  EXPECT_EQ(json["ports"][1]["placement"], nlohmann::json::array());  // the TAP
  EXPECT_EQ(json["ports"][0]["placement"], nlohmann::json::parse(R"([{"vring": 1, "ring_node": 1,
      "buffers": {"nodes": {"0": 12, "1": 4}, "absent": 3, "unknown": 0}, "wanted_node": 1, "state_node": null,
      "state": {"nodes": {"0": 1, "1": 4}, "absent": 0, "unknown": 0},
      "state_areas": [{"address": "0x7f0000001000", "bytes": 8192}], "moved": 4, "move_errno": 12,
      "problem": "node 1 is full", "worker": 2, "lcore": 3, "lcore_node": 1, "mempool_node": 0}])"));
  EXPECT_EQ(json["mempools"], nlohmann::json::parse(R"([{"node": 0, "asked_node": 1, "mbufs": 8192, "in_use": 3,
      "problem": "node 1: no memory", "memory": [{"address": "0x7f0000200000", "bytes": 123}]}])"));
  EXPECT_EQ(json["workers"], nlohmann::json::parse(R"([{"worker": 2, "lcore": 3, "node": 1, "tid": 4711}])"));
}

TEST(JsonReport, WithNothingStartedTheListsAreEmpty) {
  const auto json = nlohmann::json::parse(json_report("summary", sample(1, 1)));
  for (const auto& list : {json["ports"][0]["placement"], json["mempools"], json["workers"]})
    EXPECT_EQ(list, nlohmann::json::array());
  auto snapshot = sample(1, 1);
  snapshot.ports[0].placement.push_back({});
  const auto row = nlohmann::json::parse(json_report("summary", snapshot))["ports"][0]["placement"][0];
  EXPECT_TRUE(row["ring_node"].is_null() && row["lcore_node"].is_null() && row["mempool_node"].is_null());
  EXPECT_EQ(row["buffers"]["nodes"], nlohmann::json::object());
  EXPECT_EQ(row["state_areas"], nlohmann::json::array());
}

TEST(JsonReport, PlacementEvents) {
  EXPECT_EQ(nlohmann::json::parse(json_event({1.5, "a", PlacementChanged{1, 1, half_moved()}})),
            nlohmann::json::parse(R"({"event": "placement_changed", "port": "a", "seconds": 1.5, "vring": 1, "node": 1,
      "ring_node": 1, "state_node": null, "buffers": {"nodes": {"0": 12, "1": 4}, "absent": 3, "unknown": 0},
      "problem": "node 1 is full"})"));
  EXPECT_EQ(nlohmann::json::parse(json_lane_moved({2.5, "a", 3, 0, 1})),
            nlohmann::json::parse(R"({"event": "lane_moved",
      "port": "a", "seconds": 2.5, "pair": 3, "from_worker": 0, "to_worker": 1})"));
}

TEST(TextReport, OneNodeIsNoTable) { EXPECT_EQ(text_placement(sample(1, 1)), "one NUMA node\n"); }

TEST(TextReport, ThePlacementTable) {
  const auto text = text_placement(on_two_nodes());
  EXPECT_NE(text.find("0: 12, 1: 4, absent: 3"), std::string::npos) << text;
  EXPECT_NE(text.find("node 1 is full"), std::string::npos) << text;
  EXPECT_NE(text.find("mempool for node 1: on node 0, 3 of 8192 mbufs in use: node 1: no memory"), std::string::npos)
      << text;
  std::istringstream stream(text);
  std::string header, row;
  std::getline(stream, header);
  std::getline(stream, row);
  EXPECT_EQ(header.size(), row.size()) << text;
  EXPECT_EQ(row.rfind("/tmp/a.sock", 0), 0u);
  EXPECT_EQ(row[header.find("wanted") + 5], '1') << text;
  EXPECT_EQ(row[header.find("  state") + 6], '-') << text;
  EXPECT_EQ(row[header.find("lcore node") + 9], '1') << text;
  EXPECT_EQ(row.back(), '0');
}

TEST(TextReport, ALaneThatMoved) {
  EXPECT_EQ(text_lane_moved({2.5, "a", 3, 0, 1}), "    2.500  a: queue pair 3 moved from worker 0 to worker 1\n");
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
