// SPDX-License-Identifier: BSD-3-Clause
// What vhostx-bench says of a measurement: as text, JSON and plot.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/tools/text_lines.hpp"
#include "tools/bench/report.hpp"

namespace vhostx::tools::bench {
namespace {

/// Rounds of one second with so many packets of `bytes` each.
SizeResult result_of(std::uint32_t bytes, const std::vector<std::uint64_t>& packets) {
  SizeResult result{.frame_bytes = bytes, .impossible = {}, .rounds = {}, .counts = {}, .latency = {}, .moves = {}};
  for (const std::uint64_t count : packets)
    result.rounds.push_back({.seconds = 1, .idle_seconds = 0, .packets = count, .bytes = bytes * count, .sent = count});
  return result;
}

Report report_of(SizeResult result) {
  return {.sides = {{"/socket", {}, {std::move(result)}}}, .limits = {}, .interrupted = false};
}

/// The line of the table that begins with `word`, or an empty one.
std::string row_of(const std::string& text, const std::string& word) {
  for (const std::string& line : lines_of(text))
    if (const auto at = line.find_first_not_of(' '); at != std::string::npos && line.substr(at).starts_with(word))
      return line;
  return {};
}

TEST(BenchReport, ShowsTheLengthThatWasReceivedNotTheOneAskedFor) {
  Options options;
  options.mode = Mode::rx;
  auto result = result_of(1000, {2'000'000, 2'000'000});
  result.frame_bytes = 64;
  const Report report = report_of(result);
  const std::string text = text_of(report, options);
  EXPECT_EQ(row_of(text, "64"), "") << text;
  EXPECT_NE(row_of(text, "1000 ").find("2.000"), std::string::npos) << text;
  EXPECT_NE(row_of(text, "mean B"), "") << text;
  EXPECT_EQ(plot_of(report, options).series[0].points[0].x, 1000);
  const auto json = nlohmann::json::parse(json_of(report, options));
  EXPECT_EQ(json["back_ends"][0]["sizes"][0]["mean_frame_bytes"], 1000);
}

/// One round in five is far off: that shows nowhere but in the list of rounds.
TEST(BenchReport, SpreadIsTheQuartilesEverywhere) {
  const Report report = report_of(result_of(64, {3'000'000, 1'000, 2'000'000, 4'000'000, 5'000'000}));
  const std::string text = text_of(report, {});
  EXPECT_NE(row_of(text, "bytes").find("quartiles"), std::string::npos) << text;
  EXPECT_NE(row_of(text, "64").find("3.000    2.000..4.000"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(json_of(report, {}));
  const auto& rates = json["back_ends"][0]["sizes"][0]["packets_per_second"];
  EXPECT_EQ(rates["median"], 3e6);
  EXPECT_EQ(rates["quartiles"], nlohmann::json::array({2e6, 4e6}));
  EXPECT_EQ(rates["rounds"].size(), 5U);
  const Plot plot = plot_of(report, {});
  EXPECT_EQ(plot.y_label, "Mpps: median and quartiles");
  EXPECT_EQ(plot.second_label, "Gbit/s: median, paler lines");
  EXPECT_EQ(plot.series[0].points[0].y.low, 2);
  EXPECT_EQ(plot.series[0].points[0].y.high, 4);
}

TEST(BenchReport, SaysThatThePaceWasNotReached) {
  const Report report = report_of(result_of(1518, {400'000, 420'000, 440'000}));
  Options options;
  const std::string said = "1518 bytes: the pace was not reached: 1000000 packets a second asked for, 420000 sent";
  EXPECT_EQ(text_of(report, options).find("pace"), std::string::npos);
  options.rate_pps = 1e6;
  EXPECT_NE(text_of(report, options).find(said), std::string::npos) << text_of(report, options);
  options.rate_pps = 420'100;
  EXPECT_EQ(text_of(report, options).find("pace"), std::string::npos);
  const auto json = nlohmann::json::parse(json_of(report, options));
  EXPECT_EQ(json["rate_asked"], 420'100);
  EXPECT_EQ(json["back_ends"][0]["sizes"][0]["sent_per_second"]["median"], 420'000);
}

/// What was sent and lost on the way was sent at the pace.
TEST(BenchReport, ALossIsNoMissedPace) {
  auto result = result_of(64, {500, 500});
  for (Round& round : result.rounds) round.sent = 1000;
  Options options;
  options.rate_pps = 1000;
  EXPECT_EQ(text_of(report_of(result), options).find("pace"), std::string::npos);
}

TEST(BenchReport, HistogramUsesTheWholeLine) {
  auto result = result_of(64, {1000});
  result.latency.emplace();
  for (std::uint64_t ns = 2000; ns < 3000; ++ns) result.latency->record(ns);
  std::size_t longest = 0;
  for (const std::string& line : lines_of(text_of(report_of(result), {})))
    if (line.ends_with('#')) longest = std::max(longest, line.size());
  EXPECT_EQ(longest, 79U);
}

TEST(BenchReport, ShowsTheLongestGapOfEachRoundWhereLatencyIsMeasured) {
  auto result = result_of(64, {1000, 1000, 1000});
  result.rounds[0].longest_gap_seconds = 0.001;
  result.rounds[1].longest_gap_seconds = 0.004;
  result.rounds[2].longest_gap_seconds = 0.002;
  EXPECT_EQ(text_of(report_of(result), {}).find("longest gap"), std::string::npos);
  result.latency.emplace();
  const Report report = report_of(result);
  const std::string said =
      "longest gap between arrivals in a round, ms: median 2.000  quartiles 1.500..3.000  max 4.000";
  EXPECT_NE(text_of(report, {}).find(said), std::string::npos) << text_of(report, {});
  const auto json = nlohmann::json::parse(json_of(report, {}));
  EXPECT_EQ(json["back_ends"][0]["sizes"][0]["longest_gap_s"]["rounds"], nlohmann::json::array({0.001, 0.004, 0.002}));
}

TEST(BenchReport, NothingReceivedIsNoPointOfThePlot) {
  Options options;
  options.mode = Mode::rx;
  EXPECT_TRUE(plot_of(report_of(result_of(64, {0, 0})), options).series[0].points.empty());
}

/// With twice the time a packet while it is logged.
Move move_of(double milliseconds, std::uint64_t lost) {
  Move move;
  move.without_log = {.seconds = 1, .idle_seconds = 0, .packets = 2000, .bytes = 0, .sent = 2000};
  move.with_log = {.seconds = 2, .idle_seconds = 0, .packets = 2000, .bytes = 0, .sent = 2000};
  move.lost = lost;
  move.pages_in_all = 512;
  move.pages_at_stop = 20;
  move.dirty_pages_per_second = 1300;
  move.gap_seconds = 1e-3 * milliseconds;
  move.stop_seconds = 1e-4 * milliseconds;
  move.copy_seconds = 2e-4 * milliseconds;
  move.start_seconds = 3e-4 * milliseconds;
  move.first_packet_seconds = 4e-4 * milliseconds;
  return move;
}

TEST(BenchReport, ShowsWhatMigrationsCost) {
  auto result = result_of(64, {1000, 1000, 1000});
  result.moves = {move_of(10, 0), move_of(30, 7), move_of(20, 5)};
  const Report report = report_of(result);
  const std::string text = text_of(report, {});
  const auto has = [&](const char* row, const char* value) {
    EXPECT_NE(row_of(text, row).find(value), std::string::npos) << row << "\n" << text;
  };
  has("64 bytes, 3 migrations", "");
  has("nothing came to the guest", " 20.000      15.000..25.000");
  has("the rings stop", " 2.000 ");
  has("the rest of its memory", " 4.000 ");
  has("the back-ends' part", " 16.000 ");
  has("packets lost", " 5 ");
  has("time a packet with the log", " 2.000 ");
  has("dirty pages a second", " 1300 ");
  has("pages dirty at the stop, of 512", " 20 ");
  const auto json = nlohmann::json::parse(json_of(report, {}));
  const auto& moves = json["back_ends"][0]["sizes"][0]["migrations"];
  ASSERT_EQ(moves.size(), 3U);
  EXPECT_EQ(moves[1]["lost"], 7);
  EXPECT_NEAR(moves[1]["back_end_s"], 0.024, 1e-9);
  EXPECT_EQ(moves_of(result_of(64, {1000})), "") << "nothing of them where there were none";
}

}  // namespace
}  // namespace vhostx::tools::bench
