// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "tools/bench/statistics.hpp"

namespace vhostx::tools::bench {

struct PlotPoint {
  double x = 0;
  Spread y;
  double second = 0;  ///< On the second axis, if the plot has one.
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  ///< In rising order of x.
};

struct Plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::string second_label;  ///< Of the axis at the right side; empty: there is none.
  bool log_x = false;        ///< x is shown by its logarithm; all are above 0.
  std::vector<PlotSeries> series;
};

/// A whole SVG file: a line and a mark for each median, whiskers from `low` to `high`, and a paler line for the values
/// of the second axis. Both axes begin at 0. It needs nothing else, prints well, and follows the reader's light or dark
/// theme.
std::string render_svg(const Plot& plot);

}  // namespace vhostx::tools::bench
