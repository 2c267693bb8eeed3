// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/histogram_text.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <fmt/format.h>

namespace vhostx::tools::bench {
namespace {

constexpr std::uint64_t rows_max = 24;
constexpr unsigned finest_bits = 4;  // rows a power of two: 16 at most, which is coarser than the histogram's buckets
constexpr unsigned label_columns = 33;

struct Row {
  std::uint64_t low_ns = 0;
  std::uint64_t count = 0;
};

/// Rows are numbered through all powers of two, each cut into 2^bits parts.
struct RowScale {
  unsigned bits = 0;

  std::uint64_t row_of(std::uint64_t ns) const noexcept {
    const unsigned width = static_cast<unsigned>(std::bit_width(ns | 1));
    if (width <= bits) return ns;
    const unsigned shift = width - 1 - bits;
    return (std::uint64_t{shift} << bits) + (ns >> shift);
  }
  std::uint64_t low_of(std::uint64_t row) const noexcept {
    const std::uint64_t octave = row >> bits;
    if (octave == 0) return row;
    if (octave + bits > 64) return std::numeric_limits<std::uint64_t>::max();  // past the last
    return (row - ((octave - 1) << bits)) << (octave - 1);
  }
};

RowScale scale_for(const LatencyHistogram& histogram) {
  for (unsigned bits = finest_bits; bits > 0; --bits) {
    const RowScale scale{bits};
    if (scale.row_of(histogram.max()) - scale.row_of(histogram.min()) < rows_max) return scale;
  }
  return {};
}

std::vector<Row> rows_of(const LatencyHistogram& histogram) {
  const RowScale scale = scale_for(histogram);
  const std::uint64_t first = scale.row_of(histogram.min());
  std::vector<Row> rows(scale.row_of(histogram.max()) - first + 2);
  for (std::size_t row = 0; row < rows.size(); ++row) rows[row].low_ns = scale.low_of(first + row);
  histogram.for_each_bucket([&](std::uint64_t low_ns, std::uint64_t, std::uint64_t count) {
    // The first bucket may begin below the smallest time.
    rows[scale.row_of(std::max(low_ns, histogram.min())) - first].count += count;
  });
  return rows;  // the last only says where the one before it ends
}

std::string time_text(std::uint64_t ns) {
  if (ns < 10'000) return fmt::format("{} ns", ns);
  if (ns < 10'000'000) return fmt::format("{:.1f} us", static_cast<double>(ns) / 1e3);
  if (ns < 10'000'000'000) return fmt::format("{:.1f} ms", static_cast<double>(ns) / 1e6);
  return fmt::format("{:.1f} s", static_cast<double>(ns) / 1e9);
}

}  // namespace

std::string histogram_text(const LatencyHistogram& histogram, unsigned width) {
  if (histogram.count() == 0) return {};
  const std::vector<Row> rows = rows_of(histogram);
  const auto by_count = [](const Row& a, const Row& b) { return a.count < b.count; };
  const std::uint64_t most = std::max_element(rows.begin(), rows.end(), by_count)->count;
  const unsigned bar_columns = std::max(width, 40U) - label_columns;
  std::string text;
  for (std::size_t row = 0; row + 1 < rows.size(); ++row) {
    const std::uint64_t count = rows[row].count;
    auto bar = static_cast<std::size_t>(static_cast<double>(count) * bar_columns / static_cast<double>(most));
    if (count != 0) bar = std::max<std::size_t>(bar, 1);  // a single straggler is seen
    const double share = 100 * static_cast<double>(count) / static_cast<double>(histogram.count());
    text += fmt::format("{:>9} ..{:>9} {:>8.3f} %{}{}\n", time_text(rows[row].low_ns), time_text(rows[row + 1].low_ns),
                        share, bar == 0 ? "" : " ", std::string(bar, '#'));
  }
  return text;
}

}  // namespace vhostx::tools::bench
