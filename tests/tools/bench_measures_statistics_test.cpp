// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "tools/bench/statistics.hpp"

namespace vhostx::tools::bench {
namespace {

TEST(Statistics, NoValuesAreZeros) {
  const Spread spread = spread_of({});
  EXPECT_EQ(spread.median, 0);
  EXPECT_EQ(spread.low, 0);
  EXPECT_EQ(spread.high, 0);
}

TEST(Statistics, OneValueIsItsOwnSpread) {
  const Spread spread = spread_of({7});
  EXPECT_EQ(spread.median, 7);
  EXPECT_EQ(spread.low, 7);
  EXPECT_EQ(spread.high, 7);
}

TEST(Statistics, OrderDoesNotMatter) {
  const Spread spread = spread_of({5, 1, 4, 2, 3});
  EXPECT_EQ(spread.median, 3);
  EXPECT_EQ(spread.low, 2);
  EXPECT_EQ(spread.high, 4);
}

TEST(Statistics, BetweenTwoValuesItInterpolates) {
  const Spread spread = spread_of({0, 10});
  EXPECT_DOUBLE_EQ(spread.median, 5);
  EXPECT_DOUBLE_EQ(spread.low, 2.5);
  EXPECT_DOUBLE_EQ(spread.high, 7.5);
}

}  // namespace
}  // namespace vhostx::tools::bench
