// SPDX-License-Identifier: BSD-3-Clause
// Axes of a plot: numbers to places, and where ticks stand.
#pragma once

#include <string>
#include <vector>

#include "tools/bench/plot_svg.hpp"

namespace vhostx::tools::bench {

/// Maps a range of numbers to a range of pixels.
struct PlotScale {
  double from = 0;
  double to = 1;
  double pixel_from = 0;
  double pixel_to = 1;
  bool log = false;

  double at(double value) const noexcept;
};

/// 0, step, 2 step, ... up to the first that is `highest` or more; step is 1, 2 or 5 times a power of ten, and there
/// are some six of them. A highest of 0 or less: 0 and 1.
std::vector<double> round_ticks(double highest);

/// The x values themselves, which for packet sizes are the numbers that people know, but for those whose labels would
/// touch the one before.
std::vector<double> value_ticks(const std::vector<PlotSeries>& series, const PlotScale& scale);

/// Smallest and largest x; with some room around where they are the same.
PlotScale x_scale(const Plot& plot, double pixel_from, double pixel_to);

double highest_y(const Plot& plot);
double highest_second(const Plot& plot);

/// As short as it can be said: "64", "0.5", "1.25", "2e+06".
std::string number_text(double value);

}  // namespace vhostx::tools::bench
