// SPDX-License-Identifier: BSD-3-Clause
// The reports of vhostx-probe check, and its command line.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tools/probe/check/check_report.hpp"
#include "tools/probe/options.hpp"

namespace vhostx::test {
namespace {

using namespace tools::probe;
using tools::EarlyExit;

const Check good{"ring.good", "Ring states", "all is well", {}};
const Check bad{"ring.bad", "Ring states", "a < b & \"c\"", {}};
const Check skipped{"data.skipped", "VIRTIO 1.2, 2.7", "never mind", {}};

CheckReport a_report() {
  CheckReport report{.subject = {.path = "/tmp/a\xff", .net = true}};
  report.results.push_back({&good, passed("4 frames"), std::chrono::milliseconds(5)});
  report.results.push_back({&bad, failed("<0> of 4 & \"none\"\x01\n# twice"), std::chrono::milliseconds(7)});
  report.results.push_back({&skipped, not_applicable("EVENT_IDX is not offered")});
  return report;
}

TEST(ProbeReport, IsText) {
  const auto report = a_report();
  EXPECT_EQ(text_line(report.results[0], false), "passed          ring.good                                4 frames\n");
  EXPECT_EQ(text_line(report.results[0], true).rfind("\x1b[32mpassed", 0), 0U);
  const std::string line = text_line(report.results[1], false);
  EXPECT_NE(line.find("expected: a < b & \"c\" (Ring states)"), std::string::npos) << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 2) << line;
  EXPECT_EQ(summary_line(report), "1 passed, 1 failed, 1 not applicable\n");
}

TEST(ProbeReport, IsTap) {
  const auto report = a_report();
  EXPECT_EQ(tap_plan(3), "TAP version 13\n1..3\n");
  EXPECT_EQ(tap_line(report.results[0], 1), "ok 1 - ring.good: 4 frames\n");
  EXPECT_EQ(tap_line(report.results[1], 2),
            "not ok 2 - ring.bad: <0> of 4 & \"none\"  . twice\n# expected: a < b & \"c\" (Ring states)\n");
  EXPECT_EQ(tap_line(report.results[2], 3), "ok 3 - data.skipped # SKIP EVENT_IDX is not offered\n");
}

TEST(ProbeReport, SaysOnceThatTheRestWasNotTried) {
  auto report = a_report();
  for (int i = 0; i < 2; ++i) report.results.push_back({&skipped, {Outcome::not_tried, "it\nis gone"}});
  EXPECT_EQ(text_line(report.results[3], false), "");
  EXPECT_EQ(summary_line(report), "1 passed, 1 failed, 1 not applicable, 2 not tried: it is gone\n");
  EXPECT_EQ(tap_line(report.results[3], 4), "ok 4 - data.skipped # SKIP not tried\n");
  EXPECT_NE(junit_of(report).find("<skipped message=\"not tried: it?is gone\"/>"), std::string::npos);
  const auto json = nlohmann::json::parse(json_of(report));
  EXPECT_EQ(json["not_tried"], 2);
  EXPECT_EQ(json["checks"][3]["result"], "not tried");
}

TEST(ProbeReport, IsJunit) {
  const std::string xml = junit_of(a_report());
  EXPECT_NE(xml.find("<testsuite name=\"ring\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">"),
            std::string::npos)
      << xml;
  EXPECT_NE(xml.find("<testsuite name=\"data\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\">"),
            std::string::npos);
  EXPECT_NE(xml.find("message=\"&lt;0&gt; of 4 &amp; &quot;none&quot;??# twice\""), std::string::npos) << xml;
  EXPECT_NE(xml.find("a &lt; b &amp; &quot;c&quot; (Ring states)"), std::string::npos);
}

TEST(ProbeReport, IsJson) {
  const auto json = nlohmann::json::parse(json_of(a_report()));
  EXPECT_EQ(json["device"], "net");
  EXPECT_EQ(json["failed"], 1);
  EXPECT_EQ(json["checks"][1]["id"], "ring.bad");
  EXPECT_EQ(json["checks"][1]["result"], "failed");
  EXPECT_EQ(json["checks"][2]["result"], "not applicable");
  const auto list = nlohmann::json::parse(list_json_of({&good, &bad}));
  EXPECT_EQ(list[1]["title"], "a < b & \"c\"");
  EXPECT_EQ(list_of({&good}), "ring.good                                all is well (Ring states)\n");
}

TEST(ProbeCheckOptions, AreRead) {
  const auto parsed = parse_options({"check", "/tmp/a", "--second", "/tmp/b", "--only", "ring.*", "--only", "data.*",
                                     "--group", "ring", "--gentle", "--timeout", "0.5", "--tap", "--junit", "-"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed)) << std::get<EarlyExit>(parsed).text;
  const auto& options = std::get<CheckOptions>(std::get<Options>(parsed));
  EXPECT_EQ(options.path, "/tmp/a");
  EXPECT_EQ(options.second, "/tmp/b");
  EXPECT_EQ(options.only.size(), 2U);
  EXPECT_EQ(options.groups.size(), 1U);
  EXPECT_TRUE(options.gentle && options.tap && !options.json);
  EXPECT_EQ(options.timeout.count(), 500);
  EXPECT_EQ(options.junit, "-");
  EXPECT_TRUE(std::holds_alternative<Options>(parse_options({"check", "--list"})));
  const auto pattern_first = parse_options({"check", "--only", "ring.*", "/tmp/a"});
  ASSERT_TRUE(std::holds_alternative<Options>(pattern_first)) << "the socket is no second pattern";
  EXPECT_EQ(std::get<CheckOptions>(std::get<Options>(pattern_first)).path, "/tmp/a");
}

TEST(ProbeCheckOptions, AreRefusedWithALine) {
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"check"},
                                                {"check", "/tmp/a", "--tap", "--json"},
                                                {"check", "/tmp/a", "--device", "disk"},
                                                {"check", "/tmp/a", "--timeout", "0"}}) {
    const auto parsed = parse_options(wrong);
    ASSERT_TRUE(std::holds_alternative<EarlyExit>(parsed)) << wrong.size();
    EXPECT_EQ(std::get<EarlyExit>(parsed).code, 2);
  }
}

}  // namespace
}  // namespace vhostx::test
