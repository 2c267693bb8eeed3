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

// Most packets take nearly the same time, and a few very much longer. So rows are as fine as possible for the bulk of
// the packets, and coarse on either side.
constexpr double bulk_from_percent = 5;
constexpr double bulk_to_percent = 90;
constexpr unsigned rows_below_max = 3;
constexpr std::uint64_t rows_bulk_max = 14;
constexpr unsigned rows_above_max = 7;
constexpr unsigned label_columns = 33;

/// Numbers times by the histogram's buckets, 64 in each power of two: the finest places where a row may begin.
constexpr unsigned part_bits = 6;
constexpr std::uint64_t parts = std::uint64_t{1} << part_bits;

std::uint64_t place_of(std::uint64_t ns) noexcept {
  const unsigned width = static_cast<unsigned>(std::bit_width(ns));
  const unsigned shift = width > part_bits + 1 ? width - part_bits - 1 : 0;
  return (std::uint64_t{shift} << part_bits) + (ns >> shift);
}

std::uint64_t time_at(std::uint64_t place) noexcept {
  if (place < 2 * parts) return place;
  const std::uint64_t shift = place / parts - 1;
  if (shift + part_bits >= 64) return std::numeric_limits<std::uint64_t>::max();  // past the last
  return (place - shift * parts) << shift;
}

/// Places that make a row of the bulk: 1, 2, 4 and so on; 64 and more are whole powers of two.
std::uint64_t bulk_step(std::uint64_t first, std::uint64_t last) noexcept {
  std::uint64_t step = 1;
  while (last / step - first / step >= rows_bulk_max) step *= 2;
  return step;
}

/// The same for rows outside the bulk, each twice as wide as the one before.
std::uint64_t tail_step(std::uint64_t distance, unsigned rows_max, std::uint64_t step) noexcept {
  while (step * ((std::uint64_t{1} << rows_max) - 1) < distance) step *= 2;
  return step;
}

/// Where each row begins, and where the last one ends.
std::vector<std::uint64_t> borders_of(const LatencyHistogram& histogram) {
  const std::uint64_t first = place_of(histogram.min());
  const std::uint64_t end = place_of(histogram.max()) + 1;
  const std::uint64_t bulk_first = place_of(histogram.percentile(bulk_from_percent));
  const std::uint64_t bulk_last = place_of(histogram.percentile(bulk_to_percent));
  const std::uint64_t step = bulk_step(bulk_first, bulk_last);
  std::vector<std::uint64_t> borders;
  std::uint64_t place = bulk_first / step * step;
  for (; place <= bulk_last; place += step) borders.push_back(place);
  borders.push_back(place);
  std::uint64_t width = tail_step(end - std::min(place, end), rows_above_max, step);
  for (; place < end; width *= 2) borders.push_back(place = std::min(place + width, end));
  place = borders.front();
  width = tail_step(place - std::min(first, place), rows_below_max, step);
  for (; place > first; width *= 2) borders.push_back(place = std::max(place, first + width) - width);
  std::sort(borders.begin(), borders.end());
  return borders;
}

std::vector<std::uint64_t> counts_between(const LatencyHistogram& histogram,
                                          const std::vector<std::uint64_t>& borders) {
  std::vector<std::uint64_t> counts(borders.size() - 1);
  histogram.for_each_bucket([&](std::uint64_t low_ns, std::uint64_t, std::uint64_t count) {
    const auto after = std::upper_bound(borders.begin(), borders.end(), place_of(low_ns));
    counts[static_cast<std::size_t>(after - borders.begin()) - 1] += count;
  });
  return counts;
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
  const auto borders = borders_of(histogram);
  const auto counts = counts_between(histogram, borders);
  const std::uint64_t most = *std::max_element(counts.begin(), counts.end());
  const unsigned bar_columns = std::max(width, 40U) - label_columns;
  std::string text;
  for (std::size_t row = 0; row < counts.size(); ++row) {
    const std::uint64_t count = counts[row];
    auto bar = static_cast<std::size_t>(static_cast<double>(count) * bar_columns / static_cast<double>(most));
    if (count != 0) bar = std::max<std::size_t>(bar, 1);  // so that a single straggler is visible
    const double share = 100 * static_cast<double>(count) / static_cast<double>(histogram.count());
    text += fmt::format("{:>9} ..{:>9} {:>8.3f} %{}{}\n", time_text(time_at(borders[row])),
                        time_text(time_at(borders[row + 1])), share, bar == 0 ? "" : " ", std::string(bar, '#'));
  }
  return text;
}

}  // namespace vhostx::tools::bench
