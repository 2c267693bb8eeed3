// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/plot_axis.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace vhostx::tools::bench {
namespace {

constexpr double ticks_wanted = 6;
constexpr double digit_px = 7;  // of a tick's label
constexpr double label_gap_px = 4;

double half_width_px(double value) { return digit_px * static_cast<double>(number_text(value).size()) / 2; }

std::vector<double> all_x(const std::vector<PlotSeries>& series) {
  std::vector<double> values;
  for (const PlotSeries& one : series)
    for (const PlotPoint& point : one.points) values.push_back(point.x);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

}  // namespace

double PlotScale::at(double value) const noexcept {
  const auto place = [this](double number) { return log ? std::log2(number) : number; };
  const double part = (place(value) - place(from)) / (place(to) - place(from));
  return pixel_from + part * (pixel_to - pixel_from);
}

std::vector<double> round_ticks(double highest) {
  if (!(highest > 0) || !std::isfinite(highest)) return {0, 1};
  const double power = std::pow(10, std::floor(std::log10(highest / ticks_wanted)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power * ticks_wanted < highest) continue;
    step = factor * power;
    break;
  }
  std::vector<double> ticks{0};
  while (ticks.back() < highest) ticks.push_back(step * static_cast<double>(ticks.size()));
  return ticks;
}

std::vector<double> value_ticks(const std::vector<PlotSeries>& series, const PlotScale& scale) {
  std::vector<double> ticks;
  double free_from_px = std::numeric_limits<double>::lowest();
  for (const double value : all_x(series)) {
    const double half_px = half_width_px(value);
    if (scale.at(value) - half_px < free_from_px) continue;
    ticks.push_back(value);
    free_from_px = scale.at(value) + half_px + label_gap_px;
  }
  return ticks;
}

PlotScale x_scale(const Plot& plot, double pixel_from, double pixel_to) {
  const std::vector<double> values = all_x(plot.series);
  double from = values.empty() ? 1 : values.front();
  double to = values.empty() ? 2 : values.back();
  if (from == to) {
    from = plot.log_x ? from / 2 : from - 1;
    to = plot.log_x ? to * 2 : to + 1;
  }
  return {from, to, pixel_from, pixel_to, plot.log_x};
}

double highest_y(const Plot& plot) {
  double highest = 0;
  for (const PlotSeries& one : plot.series)
    for (const PlotPoint& point : one.points) highest = std::max({highest, point.y.median, point.y.high});
  return highest;
}

double highest_second(const Plot& plot) {
  double highest = 0;
  for (const PlotSeries& one : plot.series)
    for (const PlotPoint& point : one.points) highest = std::max(highest, point.second);
  return highest;
}

std::string number_text(double value) { return fmt::format("{:.6g}", value); }

}  // namespace vhostx::tools::bench
