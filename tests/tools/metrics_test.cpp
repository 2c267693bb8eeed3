// SPDX-License-Identifier: BSD-3-Clause
// What Prometheus is told, read back as it reads it; and where.
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "tools/switch/metrics_address.hpp"
#include "tools/switch/metrics_text.hpp"

namespace vhostx::tools {
namespace {

/// The text exposition format 0.0.4: samples by name and labels as written, types by family.
struct ReadBack {
  std::map<std::string, double> samples;
  std::map<std::string, std::string> types;
};

/// Fails the test where the text is not of that format: families are declared once, before their samples, which stand
/// together.
ReadBack read_back(const std::string& text) {
  static const std::regex comment("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
  static const std::regex sample_line(
      "([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{[a-zA-Z_]\\w*=\"(?:[^\"\\\\]|\\\\[\\\\\"n])*\""
      "(?:,[a-zA-Z_]\\w*=\"(?:[^\"\\\\]|\\\\[\\\\\"n])*\")*\\})? (-?[0-9]+)");
  ReadBack out;
  std::istringstream lines(text);
  std::string family;
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, match, comment)) {
      family = match[2];
      if (match[1] == "TYPE") {
        EXPECT_TRUE(out.types.emplace(family, match[3]).second) << line;
      }
    } else if (std::regex_match(line, match, sample_line)) {
      EXPECT_EQ(match[1], family) << line;
      EXPECT_TRUE(out.samples.emplace(match[1].str() + match[2].str(), std::stod(match[3])).second) << line;
    } else {
      ADD_FAILURE() << "no line of the format: " << line;
    }
  }
  EXPECT_EQ(text.back(), '\n');
  return out;
}

std::uint64_t& metric_counter(VringStats& stats, VringCounter id) { return stats.values[static_cast<std::size_t>(id)]; }

Snapshot metrics_sample() {
  Snapshot snapshot;
  snapshot.open_fds = 17;
  PortSnapshot port;
  port.name = "/tmp/a.sock";
  port.connected = true;
  port.connections = 3;
  port.releases_pending = 7;
  port.vrings.resize(2);
  port.vrings[1].index = 1;
  port.vrings[1].state.started = true;
  port.vrings[1].loans.outstanding = 5;
  port.vrings[1].node = 1;
  metric_counter(port.vrings[1].stats, VringCounter::packets) = 18446744073709551615u;
  metric_counter(port.vrings[1].stats, VringCounter::drop_bad_header) = 9;
  port.drops.ring_full = 7;
  snapshot.ports.push_back(port);
  port = {};
  port.name = "tap0";
  port.is_tap = true;
  metric_counter(port.to_guest, VringCounter::bytes) = 4;
  snapshot.ports.push_back(port);
  snapshot.mempools.push_back({0, 1, 8192, 3, "", {}});
  return snapshot;
}

TEST(MetricsText, IsOfTheFormat) {
  const auto parsed = read_back(metrics_text(metrics_sample()));
  const auto& samples = parsed.samples;
  const std::string labels = "{port=\"/tmp/a.sock\",vring=\"1\",direction=\"from_guest\"";
  EXPECT_EQ(samples.at("vhostx_port_connected{port=\"/tmp/a.sock\"}"), 1);
  EXPECT_EQ(samples.at("vhostx_port_connections_total{port=\"/tmp/a.sock\"}"), 3);
  EXPECT_EQ(samples.at("vhostx_port_releases_pending{port=\"/tmp/a.sock\"}"), 7);
  EXPECT_EQ(samples.at("vhostx_vring_is_started" + labels + "}"), 1);
  EXPECT_EQ(samples.at("vhostx_vring_loans_outstanding" + labels + "}"), 5);
  EXPECT_EQ(samples.at("vhostx_vring_numa_node" + labels + "}"), 1);
  EXPECT_EQ(samples.at("vhostx_vring_packets_total" + labels + "}"), 18446744073709551615.0);
  EXPECT_EQ(samples.at("vhostx_vring_drops_total" + labels + ",cause=\"drop_bad_header\"}"), 9);
  EXPECT_EQ(samples.at("vhostx_vring_bytes_total{port=\"tap0\",vring=\"\",direction=\"to_guest\"}"), 4);
  EXPECT_EQ(samples.at("vhostx_switch_drops_total{port=\"/tmp/a.sock\",cause=\"ring_full\"}"), 7);
  EXPECT_EQ(samples.at("vhostx_mempool_mbufs_in_use{node=\"0\",asked_node=\"1\"}"), 3);
  EXPECT_EQ(samples.at("vhostx_switch_open_fds"), 17);
}

TEST(MetricsText, CountersEndInTotalAndNothingElseDoes) {
  for (const auto& [name, type] : read_back(metrics_text(metrics_sample())).types)
    EXPECT_EQ(name.ends_with("_total"), type == "counter") << name;
}

TEST(MetricsText, HasEveryCounter) {
  const auto text = metrics_text(metrics_sample());
  for (const auto& row : vring_counters) {
    const auto name =
        row.is_drop ? std::string("cause=\"") + row.name + '"' : std::string("vhostx_vring_") + row.name + "_total{";
    EXPECT_NE(text.find(name), std::string::npos) << row.name;
  }
}

TEST(MetricsText, EscapesLabels) {
  EXPECT_EQ(escape_label("/tmp/a\"b\\c\nd"), "/tmp/a\\\"b\\\\c\\nd");
  EXPECT_EQ(escape_label("\xc3\xa4"), "\xc3\xa4");
  EXPECT_EQ(escape_label("a\xff"), "a\xef\xbf\xbd") << "no UTF-8";
  auto snapshot = metrics_sample();
  snapshot.ports[0].name = "a\"} 1\nvhostx_false 1";
  EXPECT_EQ(read_back(metrics_text(snapshot)).types.count("vhostx_false"), 0U);
}

TEST(MetricsAddress, IsAUnixSocketOrALoopbackPort) {
  EXPECT_EQ(parse_metrics_address("unix:/run/m.sock").value().path, "/run/m.sock");
  const auto v4 = parse_metrics_address("127.0.0.1:9100");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->host, "127.0.0.1");
  EXPECT_EQ(v4->port, 9100);
  EXPECT_EQ(to_text(*v4), "http://127.0.0.1:9100/metrics");
  EXPECT_EQ(to_text(parse_metrics_address("[::1]:0").value()), "http://[::1]:0/metrics");
  EXPECT_EQ(to_text(parse_metrics_address("unix:m").value()), "unix:m");
}

TEST(MetricsAddress, IsNothingElse) {
  for (const char* text : {"", "unix:", "9100", ":9100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                           "127.0.0.1:9100x", "0.0.0.0:9100", "192.0.2.1:9100", "localhost:9100", "[::]:9100",
                           "::1:9100", "[127.0.0.1]:9100", "[::1]", "128.0.0.1:1", "http://127.0.0.1:9100"}) {
    const auto refused = parse_metrics_address(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message.find("loopback only"), std::string::npos);
  }
  EXPECT_FALSE(parse_metrics_address("unix:" + std::string(108, 'a')));
  EXPECT_TRUE(parse_metrics_address("unix:" + std::string(107, 'a')));
}

}  // namespace
}  // namespace vhostx::tools
