// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/middle_mean.hpp"

#include <gtest/gtest.h>

namespace vhostx::bench {
namespace {

TEST(MiddleMean, LeavesOutTheOuterQuarters) {
  EXPECT_DOUBLE_EQ(middle_mean({1'000'000, 10, 12, 14, 16, 1, 2, 900'000}), 13);
}

TEST(MiddleMean, OfFewValuesTakesAll) {
  EXPECT_DOUBLE_EQ(middle_mean({8}), 8);
  EXPECT_DOUBLE_EQ(middle_mean({8, 9}), 8.5);
}

}  // namespace
}  // namespace vhostx::bench
