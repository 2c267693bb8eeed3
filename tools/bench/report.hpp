// SPDX-License-Identifier: BSD-3-Clause
// Report: what was measured, as text, JSON and plot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/latency_histogram.hpp"
#include "tools/bench/limit.hpp"
#include "tools/bench/options.hpp"
#include "tools/bench/plot_svg.hpp"
#include "tools/bench/statistics.hpp"
#include "tools/bench/traffic.hpp"

namespace vhostx::tools::bench {

/// Frames of one length, at one back-end.
struct SizeResult {
  std::uint32_t frame_bytes = 0;  ///< As asked for.
  std::string impossible;         ///< Why it was not measured; empty: it was.
  std::vector<Round> rounds;
  Counts counts;
  std::optional<LatencyHistogram> latency;

  std::vector<double> packets_per_second() const;
  std::vector<double> bits_per_second() const;
  std::vector<double> sent_per_second() const;
  /// Of the frames that counted, the mean: in rx it is the back-end that chooses. None counted: 0.
  double mean_bytes() const;
  /// Shares of the time, 0 to 1, in which the guests had nothing to do: where there is none, they are what is measured.
  std::vector<double> idle() const;
};

struct SideResult {
  std::string label;
  std::vector<std::string> endpoints;
  std::vector<SizeResult> sizes;
};

struct Report {
  std::vector<SideResult> sides;
  std::vector<LimitResult> limits;  ///< By size: through a bare ring; empty: not asked for.
  bool interrupted = false;
};

/// Of the pairs of rounds of two back-ends: the first one's rate by the second one's.
std::vector<double> ratios(const SizeResult& a, const SizeResult& b);
/// Packets came twice or damaged, or were lost although none may be.
bool is_faulty(const Report& report, const Options& options);

std::string text_of(const Report& report, const Options& options);
std::string json_of(const Report& report, const Options& options);
Plot plot_of(const Report& report, const Options& options);

}  // namespace vhostx::tools::bench
