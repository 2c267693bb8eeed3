// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tools/text_lines.hpp"
#include "tools/bench/histogram_text.hpp"
#include "tools/bench/latency_histogram.hpp"

namespace vhostx::tools::bench {
namespace {

constexpr std::uint64_t longest_ns = std::numeric_limits<std::uint64_t>::max();

TEST(LatencyHistogram, EmptyIsZeros) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.percentile(50), 0U);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.mean(), 0);
  histogram.for_each_bucket([](auto, auto, auto) { FAIL() << "a bucket of an empty histogram"; });
}

TEST(LatencyHistogram, ShortTimesAreExact) {
  for (std::uint64_t ns = 0; ns < 128; ++ns) {
    LatencyHistogram histogram;
    histogram.record(ns);
    histogram.record(1000);
    EXPECT_EQ(histogram.percentile(50), ns);
  }
}

TEST(LatencyHistogram, BucketsHoldTheirTimesWithinOnePercent) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t ns : {std::uint64_t{1} << bit, (std::uint64_t{1} << bit) + 1,
                                   (std::uint64_t{1} << bit) - 1, (std::uint64_t{3} << bit) / 2, longest_ns >> bit}) {
      LatencyHistogram histogram;
      histogram.record(ns);
      histogram.for_each_bucket([ns](std::uint64_t low, std::uint64_t high, std::uint64_t count) {
        EXPECT_LE(low, ns);
        EXPECT_GE(high, ns);
        EXPECT_EQ(count, 1U);
        EXPECT_LE(static_cast<double>((high - low) / 2), 0.01 * static_cast<double>(ns));
      });
    }
  }
}

TEST(LatencyHistogram, BucketsMeetWithoutGapOrOverlap) {
  LatencyHistogram histogram;
  for (std::uint64_t ns = 0; ns < 100'000; ++ns) histogram.record(ns);
  std::uint64_t next = 0;
  histogram.for_each_bucket([&next](std::uint64_t low, std::uint64_t high, std::uint64_t count) {
    EXPECT_EQ(low, next);
    EXPECT_EQ(count, std::min<std::uint64_t>(high + 1, 100'000) - low);
    next = high + 1;
  });
}

TEST(LatencyHistogram, PercentilesAreWithinOnePercentOfTheSortedTimes) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> distribution(9, 1.5);
  LatencyHistogram histogram;
  std::vector<std::uint64_t> times;
  for (int i = 0; i < 50'000; ++i) {
    times.push_back(static_cast<std::uint64_t>(distribution(random)));
    histogram.record(times.back());
  }
  std::sort(times.begin(), times.end());
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
    const auto rank = static_cast<std::size_t>(percent / 100 * static_cast<double>(times.size()) + 0.5);
    const auto exact = static_cast<double>(times[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(percent)), exact, 0.01 * exact) << percent;
  }
  EXPECT_EQ(histogram.percentile(100), times.back());
  EXPECT_EQ(histogram.min(), times.front());
}

TEST(LatencyHistogram, OneStragglerInAThousandIsTheLastPerMille) {
  LatencyHistogram histogram;
  for (int i = 0; i < 999; ++i) histogram.record(100);
  histogram.record(5'000'000);
  EXPECT_EQ(histogram.percentile(50), 100U);
  EXPECT_EQ(histogram.percentile(99.9), 100U);
  EXPECT_EQ(histogram.percentile(99.91), 5'000'000U);
  EXPECT_EQ(histogram.max(), 5'000'000U);
}

TEST(LatencyHistogram, MergedIsAsIfRecordedInOne) {
  LatencyHistogram one, other, both;
  for (std::uint64_t ns = 1; ns < 3000; ns += 7) {
    (ns % 2 == 0 ? one : other).record(ns * ns);
    both.record(ns * ns);
  }
  one.merge(other);
  EXPECT_EQ(one.count(), both.count());
  EXPECT_EQ(one.min(), both.min());
  EXPECT_EQ(one.max(), both.max());
  EXPECT_DOUBLE_EQ(one.mean(), both.mean());
  for (double percent = 0; percent <= 100; percent += 2.5) EXPECT_EQ(one.percentile(percent), both.percentile(percent));
}

TEST(LatencyHistogram, MergingAnEmptyOneChangesNothing) {
  LatencyHistogram histogram;
  histogram.record(500);
  histogram.merge({});
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.min(), 500U);
}

TEST(HistogramText, NothingRecordedIsNoText) { EXPECT_EQ(histogram_text({}, 80), ""); }

TEST(HistogramText, OneTimeIsOneFullBar) {
  LatencyHistogram histogram;
  histogram.record(1000);
  const auto lines = lines_of(histogram_text(histogram, 80));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].size(), 80U);
  EXPECT_NE(lines[0].find("100.000 % ####"), std::string::npos) << lines[0];
}

TEST(HistogramText, StragglersAreSeen) {
  LatencyHistogram histogram;
  for (int i = 0; i < 1'000'000; ++i) histogram.record(2000);
  histogram.record(3'000'000);
  const auto lines = lines_of(histogram_text(histogram, 80));
  EXPECT_EQ(lines.back().back(), '#') << lines.back();
}

double share_of(const std::string& line) { return std::stod(line.substr(21)); }

/// One time in a million that is a thousand times as long makes no row of the others coarser.
TEST(HistogramText, AStragglerLeavesTheBulkInFineRows) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> distribution(7.6, 0.1);  // around 2 us, most within 10 percent
  LatencyHistogram histogram;
  for (int i = 0; i < 100'000; ++i) histogram.record(static_cast<std::uint64_t>(distribution(random)));
  const auto fine = lines_of(histogram_text(histogram, 80));
  histogram.record(3'000'000);
  const auto lines = lines_of(histogram_text(histogram, 80));
  double most = 0;
  double all = 0;
  for (const std::string& line : lines) {
    most = std::max(most, share_of(line));
    all += share_of(line);
  }
  EXPECT_LT(most, 25) << histogram_text(histogram, 80);
  EXPECT_NEAR(all, 100, 0.1);
  for (std::size_t row = 3; row < 11; ++row) EXPECT_EQ(lines[row].substr(0, 21), fine[row].substr(0, 21));
  EXPECT_LE(lines.size(), 24U);
}

TEST(HistogramText, RowsMeet) {
  std::mt19937_64 random(1);
  for (const double width : {0.01, 0.3, 2.0, 6.0}) {
    std::lognormal_distribution<double> distribution(9, width);
    LatencyHistogram histogram;
    for (int i = 0; i < 10'000; ++i) histogram.record(static_cast<std::uint64_t>(distribution(random)));
    const auto lines = lines_of(histogram_text(histogram, 80));
    EXPECT_LE(lines.size(), 24U);
    const auto trimmed = [](const std::string& text) { return text.substr(text.find_first_not_of(' ')); };
    for (std::size_t row = 1; row < lines.size(); ++row)
      EXPECT_EQ(trimmed(lines[row].substr(0, 9)), trimmed(lines[row - 1].substr(12, 9)));
  }
}

TEST(HistogramText, RowsAreFewAndNarrowWhateverTheSpan) {
  for (const std::uint64_t last : {std::uint64_t{101}, std::uint64_t{150}, std::uint64_t{100'000}, longest_ns}) {
    LatencyHistogram histogram;
    histogram.record(100);
    histogram.record(last);
    const auto lines = lines_of(histogram_text(histogram, 72));
    EXPECT_LE(lines.size(), 24U);
    if (last == longest_ns) continue;
    for (const std::string& line : lines) EXPECT_LE(line.size(), 72U) << line;
  }
}

}  // namespace
}  // namespace vhostx::tools::bench
