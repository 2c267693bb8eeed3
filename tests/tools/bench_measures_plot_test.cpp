// SPDX-License-Identifier: BSD-3-Clause
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tools/bench/plot_axis.hpp"
#include "tools/bench/plot_svg.hpp"

namespace vhostx::tools::bench {
namespace {

Plot two_lines() {
  return {
      "rates", "bytes",
      "Mpps",  "",
      true,    {{"first", {{64, {10, 9, 11}}, {1024, {5, 4, 6}}}}, {"second", {{64, {2, 2, 2}}, {1024, {1, 1, 1}}}}}};
}

unsigned occurrences(const std::string& text, std::string_view part) {
  unsigned count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(PlotAxis, TicksAreRoundAndReachTheHighest) {
  EXPECT_EQ(round_ticks(10), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(round_ticks(17.3), (std::vector<double>{0, 5, 10, 15, 20}));
  EXPECT_EQ(round_ticks(6), (std::vector<double>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(round_ticks(0), (std::vector<double>{0, 1}));
  for (const double highest : {0.0007, 0.3, 1.0, 99.0, 1e6, 7.7e9}) {
    const auto ticks = round_ticks(highest);
    EXPECT_GE(ticks.back(), highest);
    EXPECT_LE(ticks.size(), 8U);
    EXPECT_GE(ticks.size(), 3U);
  }
}

TEST(PlotAxis, ALogarithmicScaleGivesEachPowerTheSameRoom) {
  const PlotScale scale{64, 1024, 0, 400, true};
  EXPECT_DOUBLE_EQ(scale.at(64), 0);
  EXPECT_DOUBLE_EQ(scale.at(128), 100);
  EXPECT_DOUBLE_EQ(scale.at(1024), 400);
}

TEST(PlotAxis, TicksWhoseLabelsWouldTouchAreLeftOut) {
  const std::vector<PlotSeries> series{{"one", {{1000, {}}, {1001, {}}, {2000, {}}}}};
  EXPECT_EQ(value_ticks(series, {1000, 2000, 0, 600, false}), (std::vector<double>{1000, 2000}));
}

TEST(PlotAxis, OneValueStandsInTheMiddle) {
  const Plot plot{"", "", "", "", true, {{"one", {{64, {1, 1, 1}}}}}};
  EXPECT_DOUBLE_EQ(x_scale(plot, 0, 100).at(64), 50);
}

TEST(PlotSvg, HasALineAndALegendForEachSeriesAndAWhiskerForEachPoint) {
  const std::string svg = render_svg(two_lines());
  EXPECT_EQ(occurrences(svg, "<polyline"), 2U);
  EXPECT_EQ(occurrences(svg, "class=\"whisker"), 4U);
  EXPECT_EQ(occurrences(svg, ">first<"), 1U);
  EXPECT_EQ(occurrences(svg, ">second<"), 1U);
  EXPECT_EQ(occurrences(svg, ">1024<"), 1U);
}

TEST(PlotSvg, ASecondAxisHasTicksALabelAndALineForEachSeries) {
  Plot plot = two_lines();
  const std::string without = render_svg(plot);
  EXPECT_EQ(occurrences(without, "line second"), 0U);
  plot.second_label = "Gbit/s";
  plot.series[0].points[1].second = 41;
  const std::string svg = render_svg(plot);
  EXPECT_EQ(occurrences(svg, "line second"), 2U);
  EXPECT_EQ(occurrences(svg, "<polyline"), 4U);
  EXPECT_EQ(occurrences(svg, ">Gbit/s<"), 1U);
  EXPECT_EQ(occurrences(svg, ">50<"), 1U);  // the second axis goes to 50, the first to 12
  EXPECT_EQ(occurrences(without, ">50<"), 0U);
}

TEST(PlotSvg, TextIsEscaped) {
  Plot plot = two_lines();
  plot.title = "a < b & \"c\"\n>";
  plot.series[0].name = "</svg><script>";
  const std::string svg = render_svg(plot);
  EXPECT_NE(svg.find("a &lt; b &amp; &quot;c&quot; &gt;"), std::string::npos);
  EXPECT_EQ(occurrences(svg, "<script"), 0U);
  EXPECT_EQ(occurrences(svg, "</svg>"), 1U);
}

TEST(PlotSvg, NothingToShowIsStillAFile) {
  const std::string svg = render_svg({"nothing", "x", "y", "z", true, {}});
  EXPECT_EQ(svg.rfind("<svg ", 0), 0U);
  EXPECT_EQ(svg.substr(svg.size() - 7), "</svg>\n");
  EXPECT_EQ(occurrences(svg, "nan"), 0U);
}

TEST(PlotSvg, MoreSeriesThanColours) {
  Plot plot = two_lines();
  while (plot.series.size() < 13) plot.series.push_back(plot.series.back());
  EXPECT_EQ(occurrences(render_svg(plot), "<polyline"), 13U);
}

}  // namespace
}  // namespace vhostx::tools::bench
