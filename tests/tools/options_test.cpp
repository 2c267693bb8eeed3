// SPDX-License-Identifier: BSD-3-Clause
// What vhostx-switch makes of its command line.
#include "tools/switch/options.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tests/tools/command_line.hpp"
#include "tools/switch/port_rules.hpp"

namespace vhostx::tools {
namespace {

using Parsed = std::variant<Options, EarlyExit>;

Parsed parse(const std::string& line) { return parse_options(words_of(line)); }

Options good(const std::string& line) { return accepted(line, parse(line)); }

std::string refused(const std::string& line) { return refusal(line, parse(line)); }

void expect_refused(const std::string& line, const std::string& wrong, const std::string& expected) {
  const auto text = refused(line);
  EXPECT_NE(text.find(wrong), std::string::npos) << text;
  EXPECT_NE(text.find(expected), std::string::npos) << text;
}

TEST(Options, OfferAddsFeatures) {
  EXPECT_EQ(good("--port a").ports[0].features_extra, 0U);
  EXPECT_EQ(good("--port a").ports[0].protocol_features_extra, 0U);
  const auto ports = good(
                         "--port a,offer=ring_reset --port b,offer=uso+in_order+reset_device,queues=2 "
                         "--port c,offer=inband_notifications --port d,offer=backend_req --port e,offer=gpa_addresses")
                         .ports;
  EXPECT_EQ(ports[0].features_extra, 0x100'0000'0000U);
  EXPECT_EQ(ports[1].features_extra, 0x1c0'0008'0000'0000U);
  EXPECT_EQ(ports[1].protocol_features_extra, 0x2000U);
  EXPECT_EQ(ports[1].queue_pairs, 2);
  EXPECT_EQ(ports[2].protocol_features_extra, 0x4020U);
  EXPECT_EQ(ports[3].protocol_features_extra, 0x20U);
  EXPECT_EQ(ports[4].protocol_features_extra, 0x20'0000U);
}

TEST(Options, Defaults) {
  const auto options = good("--port /tmp/a.sock");
  ASSERT_EQ(options.ports.size(), 1u);
  EXPECT_EQ(options.ports[0].path, "/tmp/a.sock");
  EXPECT_EQ(options.ports[0].role, Role::server);
  EXPECT_EQ(options.ports[0].queue_pairs, 1);
  EXPECT_EQ(options.mode, Mode::learning);
  EXPECT_EQ(options.topology, Topology::paired);
  EXPECT_EQ(options.packet_size, 64);
  EXPECT_FALSE(options.duration_s || options.stats_s || options.workers || options.json || options.busy_poll);
  EXPECT_TRUE(options.eal_arguments.empty() && options.tap.empty());
  EXPECT_EQ(options.ports[0].zero_copy, ZeroCopy::on);
  EXPECT_EQ(options.port_count(), 1u);
}

TEST(Options, MetricsAreServedLocallyOnly) {
  EXPECT_EQ(good("--port a").keeper, "");
  EXPECT_EQ(good("--port a --keeper k").keeper, "k");
  EXPECT_EQ(good("--port a --keeper systemd").keeper, systemd_keeper);
  EXPECT_EQ(good("--port a --keeper k").keeper_grace, std::chrono::seconds(30));
  EXPECT_EQ(good("--port a --keeper k --keeper-grace 1.5").keeper_grace, std::chrono::milliseconds(1500));
  expect_refused("--port a --keeper k --keeper-grace -1", "--keeper-grace", "0 to 86400");
  EXPECT_EQ(good("--port a --keeper k").keeper_claim, KeeperClaim::if_free);
  EXPECT_EQ(good("--port a --keeper k --take-over").keeper_claim, KeeperClaim::take_over);
  EXPECT_EQ(good("--port a --keeper k --standby").keeper_claim, KeeperClaim::stand_by);
  expect_refused("--port a --take-over", "--take-over", "expected --keeper SOCKET");
  expect_refused("--port a --keeper k --take-over --standby", "--take-over and --standby", "expected one of them");
  expect_refused("--port a --keeper systemd --standby", "--standby", "one process at a time");
  EXPECT_FALSE(good("--port a").metrics);
  EXPECT_EQ(good("--port a --metrics unix:m").metrics->path, "m");
  EXPECT_EQ(good("--port a --metrics 127.0.0.1:9109").metrics->port, 9109);
  expect_refused("--port a --metrics unix:@m", "unix:@m", "no abstract name");
  expect_refused("--port a --metrics 0.0.0.0:9109", "0.0.0.0:9109", "loopback only");
}

TEST(Options, Everything) {
  const auto options = good(
      "--port a,role=client,queues=4,zerocopy=off --port b,queues=128,zerocopy=on --mode mac --topology loop "
      "--packet-size 1500 --duration 2.5 "
      "--stats 0.5 --json --tap tap7 --busy-poll --workers 3");
  ASSERT_EQ(options.ports.size(), 2u);
  EXPECT_EQ(options.ports[0].role, Role::client);
  EXPECT_EQ(options.ports[0].queue_pairs, 4);
  EXPECT_EQ(options.ports[1].queue_pairs, 128);
  EXPECT_EQ(options.ports[0].zero_copy, ZeroCopy::off);
  EXPECT_EQ(options.ports[1].zero_copy, ZeroCopy::on);
  EXPECT_EQ(options.mode, Mode::mac);
  EXPECT_EQ(options.topology, Topology::loop);
  EXPECT_EQ(options.packet_size, 1500);
  EXPECT_DOUBLE_EQ(options.duration_s.value(), 2.5);
  EXPECT_DOUBLE_EQ(options.stats_s.value(), 0.5);
  EXPECT_TRUE(options.json && options.busy_poll);
  EXPECT_EQ(options.tap, "tap7");
  EXPECT_EQ(options.workers.value(), 3u);
  EXPECT_EQ(options.port_count(), 3u);
}

TEST(Options, AModeThatLeavesPacketsAloneMayBorrowThem) {
  EXPECT_EQ(good("--port a,zerocopy=lend --mode io").ports[0].zero_copy, ZeroCopy::lend);
  EXPECT_EQ(good("--mode rxonly --port a,zerocopy=lend").ports[0].zero_copy, ZeroCopy::lend);
}

TEST(Options, WhatToDoAboutNuma) {
  EXPECT_EQ(good("--port a").ports[0].numa, NumaPolicy::follow);
  EXPECT_FALSE(good("--port a").numa_interval);
  const auto options = good("--port a,numa=off --port b,numa=report,queues=2 --port c,numa=follow --numa-interval 250");
  EXPECT_EQ(options.ports[0].numa, NumaPolicy::off);
  EXPECT_EQ(options.ports[1].numa, NumaPolicy::report);
  EXPECT_EQ(options.ports[2].numa, NumaPolicy::follow);
  EXPECT_EQ(options.numa_interval, std::chrono::milliseconds(250));
  EXPECT_EQ(good("--port a --numa-interval 0").numa_interval, std::chrono::milliseconds(0));
  EXPECT_EQ(good("--port a --numa-interval 86400000").numa_interval, std::chrono::hours(24));
}

TEST(Options, HowManyEventsAreTold) {
  EXPECT_EQ(good("--port a").event_rate, 50u);
  EXPECT_EQ(good("--port a --event-rate 1000000").event_rate, 1'000'000u);
  expect_refused("--port a --event-rate 0", "--event-rate", "1");
  expect_refused("--port a --event-rate 1000001", "--event-rate", "1000000");
}

TEST(Options, WhoMayConnect) {
  const auto options = good("--port a,mode=0660,group=root --port b,mode=0 --port c,group=42 --port d");
  EXPECT_EQ(options.ports[0].mode, 0660u);
  EXPECT_EQ(group_of(options.ports[0])->value(), 0u);
  EXPECT_EQ(options.ports[1].mode, 0u);
  EXPECT_EQ(group_of(options.ports[2])->value(), 42u);
  EXPECT_FALSE(options.ports[3].mode || *group_of(options.ports[3]));
  const auto none = group_of(good("--port a,group=no-such-group").ports[0]);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("no-such-group"), std::string::npos) << none.error().message;
  expect_refused("--port a,mode=", "mode is ''", "octal");
  expect_refused("--port a,mode=0888", "mode is '0888'", "octal");
  expect_refused("--port a,mode=1777", "mode is '1777'", "0777");
  expect_refused("--port a,group=", "group is ''", "name or number");
  expect_refused("--port a,mode=0660,role=client", "mode and group", "role=server");
  expect_refused("--port a,role=client,group=kvm", "mode and group", "role=server");
  expect_refused("--port @a", "--port @a", "./@a");
  EXPECT_EQ(good("--port ./@a").ports[0].path, "./@a");
}

TEST(Options, WhetherWhatIsKnownMovesWithTheGuest) {
  const auto options = good("--port a --port b,state=stay --port c,state=move,queues=2 --mode io");
  EXPECT_TRUE(options.ports[0].state_moves);
  EXPECT_FALSE(options.ports[1].state_moves);
  EXPECT_TRUE(options.ports[2].state_moves);
  expect_refused("--port a,state=on", "state is 'on'", "move or stay");
}

TEST(Options, AddressesOfAPort) {
  const auto options = good("--port a,mac=52:54:00:00:00:02,mac=52:54:00:aB:cD:eF --port b,mac=52:54:00:00:00:03");
  ASSERT_EQ(options.ports[0].macs.size(), 2u);
  EXPECT_EQ(options.ports[0].macs[0], 0x0200'0000'5452u);
  EXPECT_EQ(mac_text(options.ports[0].macs[1]), "52:54:00:ab:cd:ef");
  for (const auto* bad : {"", "52:54:00:00:00", "52:54:00:00:00:0g", "52-54-00-00-00-02", "00:00:00:00:00:00",
                          "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "52:54:00:00:00:002"})
    expect_refused(std::string("--port a,mac=") + bad, std::string("mac is '") + bad + "'", "52:54:00:00:00:02");
  expect_refused("--port a,mac=52:54:00:00:00:02 --port b,mac=52:54:00:00:00:02", "52:54:00:00:00:02 is given twice",
                 "port a has it");
  expect_refused("--port a,mac=52:54:00:00:00:02 --mode io", "mac goes with", "--mode switch");
}

TEST(Options, HowMuchMemoryAGuestMayHave) {
  EXPECT_EQ(good("--port a").ports[0].memory_bytes_max, 0u);
  const auto options = good("--port a,memory=8G --port b,memory=4096,queues=2 --port c,memory=512M --port d,memory=1T");
  EXPECT_EQ(options.ports[0].memory_bytes_max, std::uint64_t{8} << 30);
  EXPECT_EQ(options.ports[1].memory_bytes_max, 4096u);
  EXPECT_EQ(options.ports[2].memory_bytes_max, std::uint64_t{512} << 20);
  EXPECT_EQ(options.ports[3].memory_bytes_max, std::uint64_t{1} << 40);
  for (const auto* size : {"", "0", "4095", "3K", "8g", "8GB", "-1", "G", "99999999999T", "99999999999999999999"})
    expect_refused(std::string("--port a,memory=") + size, std::string("memory is '") + size + "'", "K, M, G or T");
}

TEST(Options, WhatStandsBeforeTheFirstDashesIsEals) {
  const auto options = good("-l 0-1 --no-pci -- --port a");
  EXPECT_EQ(options.eal_arguments, (std::vector<std::string>{"-l", "0-1", "--no-pci"}));
  EXPECT_EQ(options.ports.size(), 1u);
  EXPECT_TRUE(good("-- --port a").eal_arguments.empty());
}

TEST(Options, TheControlSocketMayBringThePorts) {
  EXPECT_TRUE(good("--port a").control.empty());
  const auto options = good("--control /run/c.sock");
  EXPECT_EQ(options.control, "/run/c.sock");
  EXPECT_EQ(options.port_count(), 0u);
  expect_refused("--port a --control @c", "--control '@c'", "1 to 107 bytes");
  expect_refused("--port a --control " + std::string(108, 'c'), "--control 'ccc", "1 to 107 bytes");
}

TEST(PortRules, APortThatIsRemovedMayComeAgain) {
  PortRules rules(Mode::learning, "vhx0");
  const auto port = *parse_port("a,mac=52:54:00:00:00:02");
  EXPECT_TRUE(rules.add(port));
  EXPECT_FALSE(rules.add(port));
  EXPECT_FALSE(rules.add(*parse_port("b,mac=52:54:00:00:00:02")));
  EXPECT_TRUE(rules.add(*parse_port("b")));  // what was refused left nothing
  rules.remove("a");
  EXPECT_TRUE(rules.add(*parse_port("c,mac=52:54:00:00:00:02")));
  EXPECT_TRUE(rules.add(*parse_port("a")));
  const auto tap = rules.add(*parse_port("vhx0"));
  ASSERT_FALSE(tap);
  EXPECT_NE(tap.error().message.find("--tap vhx0"), std::string::npos);
}

TEST(Options, EalOptionsBelongBeforeTheDashes) {
  for (const auto* option : {"-l 0-1", "-l0-1", "-n 4", "--lcores 0@0", "--lcores=0@0", "--no-huge", "--file-prefix x"})
    expect_refused(std::string("--port a ") + option, "unknown option '-", "DPDK's EAL");
  expect_refused("--port a --stats 1 -- --port b", "--port stands before '--'", "after '--'");
  expect_refused("-l 0-1 --json -- --port b", "--json stands before '--'", "after '--'");
  EXPECT_EQ(good("--log-level=error -- --port a").eal_arguments, std::vector<std::string>{"--log-level=error"});
}

TEST(Options, TheLogsLevel) {
  EXPECT_EQ(good("--port a").log_level, LogLevel::warning);
  EXPECT_EQ(good("--port a --log-level debug").log_level, LogLevel::debug);
  expect_refused("--port a --log-level loud", "--log-level is 'loud'", "debug, info, warning or error");
}

TEST(Options, EachModeHasItsName) {
  for (const auto* name : {"switch", "io", "mac", "rxonly", "txonly"})
    EXPECT_STREQ(to_string(good(std::string("--port a --mode ") + name).mode), name);
}

TEST(Options, RefusalsSayWhatWasExpected) {
  expect_refused("", "no port", "--port PATH");
  expect_refused("--port a --port a", "given twice", "a");
  expect_refused("--port vhx0 --tap vhx0", "--tap vhx0", "could not tell them apart");
  expect_refused("--port a,zerocopy=maybe", "zerocopy is 'maybe'", "on, off or lend");
  expect_refused("--port a,zerocopy", "zerocopy is ''", "on, off or lend");
  expect_refused("--port a,zerocopy=lend", "zerocopy=lend", "io or rxonly");
  expect_refused("--port a,role=master", "role is 'master'", "server or client");
  expect_refused("--port a,offer=all", "offer is 'all'", "ring_reset or uso");
  expect_refused("--port a,offer=uso+", "offer is ''", "ring_reset or uso");
  expect_refused("--port a,offer", "offer is ''", "ring_reset or uso");
  expect_refused("--port a,numa=yes", "numa is 'yes'", "follow, report or off");
  expect_refused("--port a,numa", "numa is ''", "follow, report or off");
  expect_refused("--port a --numa-interval 9", "--numa-interval is '9'", "10 to 86400000");
  expect_refused("--port a --numa-interval 86400001", "--numa-interval is '86400001'", "10 to 86400000");
  expect_refused("--port a --numa-interval 10.5", "--numa-interval is '10.5'", "whole milliseconds");
  expect_refused("--port a --numa-interval nan", "--numa-interval is 'nan'", "milliseconds");
  expect_refused("--port a,queues=0", "queues is '0'", "1 to 128");
  expect_refused("--port a,queues=129", "queues is '129'", "1 to 128");
  expect_refused("--port a,queues=2x", "queues is '2x'", "1 to 128");
  expect_refused("--port a,queues=", "queues is ''", "1 to 128");
  expect_refused("--port a,speed=1", "unknown key 'speed=1'", "queues=N");
  expect_refused("--port a,rol=client", "unknown key 'rol=client'", "did you mean 'role'?");
  expect_refused("--port a,", "unknown key ''", "queues=N");
  expect_refused("--port ,queues=1", "0 bytes", "1 to 107");
  expect_refused("--port " + std::string(108, 'x'), "108 bytes", "1 to 107");
  expect_refused("--port a --mode hub", "hub", "txonly");
  expect_refused("--port a --topology ring", "ring", "paired");
  expect_refused("--port a --packet-size 59", "59", "60");
  expect_refused("--port a --packet-size 65536", "65536", "65535");
  expect_refused("--port a --duration 0", "--duration is '0'", "0.01");
  expect_refused("--port a --duration nan", "--duration is 'nan'", "seconds");
  expect_refused("--port a --stats -1", "--stats is '-1'", "seconds");
  expect_refused("--port a --workers 0", "--workers", "64");
  expect_refused("--port a --tap much-too-long-name", "much-too-long-name", "1 to 15");
  expect_refused("--port a --tap a/b", "a/b", "'/'");
  expect_refused("--port a --colour", "--colour", "--help");
  expect_refused("--port a b", "b", "--help");
}

TEST(Options, TooManyPortsAreRefused) {
  std::string line;
  for (std::size_t i = 0; i < ports_max; ++i) line += " --port p" + std::to_string(i);
  EXPECT_EQ(good(line).ports.size(), ports_max);
  expect_refused(line + " --tap t", "257 ports", "256");
}

TEST(Options, TheLongestPathIsTaken) { EXPECT_EQ(good("--port " + std::string(107, 'x')).ports.size(), 1u); }

TEST(Options, HelpNamesEachKeyOfAPort) {
  const auto help = std::get<EarlyExit>(parse("--help")).text;
  for (const auto* key :
       {"role=server|client", "queues=N", "zerocopy=on|off|lend", "numa=follow|report|off", "offer=NAME[+NAME...]",
        "mode=OCTAL", "group=NAME|NUMBER", "mac=ADDRESS", "memory=SIZE", "state=move|stay"}) {
    EXPECT_NE(help.find(key), std::string::npos) << key << "\n" << help;
    EXPECT_NE(refused("--port a,speed=1").find(key), std::string::npos) << key;
  }
}

TEST(Options, HelpAndVersionEndWell) {
  for (const auto* word : {"--help", "-h", "--version"}) {
    auto parsed = parse(word);
    const auto* exit = std::get_if<EarlyExit>(&parsed);
    ASSERT_NE(exit, nullptr);
    EXPECT_EQ(exit->code, 0);
    EXPECT_NE(exit->text.find("vhostx-switch"), std::string::npos);
  }
  auto help = std::get<EarlyExit>(parse("--help")).text;
  EXPECT_NE(help.find("[EAL options --] --port PATH"), std::string::npos) << help;
}

}  // namespace
}  // namespace vhostx::tools
