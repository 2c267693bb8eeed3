// SPDX-License-Identifier: BSD-3-Clause
// Histograms, and what is asked of the kernel for them.
#include "numa/look.hpp"

#include <array>

#include <gtest/gtest.h>

#include "tests/support/fake_kernel.hpp"

namespace vhostx::test {
namespace {

using numa::look_at;
using numa::Untouched;

constexpr std::size_t page = FakeKernel::page_bytes;

const std::uint8_t* at(std::uintptr_t address) { return reinterpret_cast<const std::uint8_t*>(address); }

struct LookAt : testing::Test {
  FakeKernel kernel;
  std::vector<const std::uint8_t*> addresses{at(10 * page), at(10 * page + 7), at(11 * page), at(20 * page + page - 1)};

  void SetUp() override {
    kernel.put(at(11 * page), page, 1);
    kernel.put(at(20 * page), page, 3);
  }
};

TEST_F(LookAt, CountsEachPageOnce) {
  const auto look = look_at(kernel, addresses, Untouched::fault_in);
  EXPECT_EQ(look.error, 0);
  EXPECT_EQ(look.histogram.nodes.size(), 3U);
  EXPECT_EQ(look.histogram.on(0), 1U);
  EXPECT_EQ(look.histogram.on(1), 1U);
  EXPECT_EQ(look.histogram.on(2), 0U);
  EXPECT_EQ(look.histogram.on(3), 1U);
  EXPECT_EQ(look.histogram.placed(), 3U);
  EXPECT_EQ(look.histogram.main_node(), 0) << "of several the lowest";
}

TEST_F(LookAt, FaultsInWhatIsAboutToBeUsed) {
  kernel.untouch(at(11 * page), false);
  const auto look = look_at(kernel, addresses, Untouched::fault_in);
  EXPECT_EQ(look.histogram.on(1), 1U);
  EXPECT_EQ(kernel.faulted().size(), 1U);
}

TEST_F(LookAt, AllocatesNothingForASample) {
  kernel.untouch(at(11 * page), false);
  kernel.untouch(at(20 * page), true);
  const auto look = look_at(kernel, addresses, Untouched::if_there);
  EXPECT_EQ(look.histogram.absent, 1U);
  EXPECT_EQ(look.histogram.on(1), 0U);
  EXPECT_EQ(look.histogram.on(3), 1U) << "the driver has touched it";
  EXPECT_EQ(kernel.faulted().size(), 1U);
}

TEST_F(LookAt, AsksForEachPageWhereTheBulkQueryIsForbidden) {
  kernel.query_error = EPERM;
  const auto look = look_at(kernel, addresses, Untouched::fault_in);
  EXPECT_EQ(look.error, 0);
  EXPECT_EQ(look.histogram.on(3), 1U);
}

TEST_F(LookAt, SaysWhyNothingIsKnown) {
  kernel.query_error = kernel.node_of_error = EPERM;
  const auto look = look_at(kernel, addresses, Untouched::fault_in);
  EXPECT_EQ(look.error, EPERM);
  EXPECT_EQ(look.histogram.unknown, 3U);
  EXPECT_EQ(look.histogram.main_node(), no_node);
}

TEST_F(LookAt, SaysWhyAPageIsNotKnown) {
  kernel.status_of_all = -EACCES;
  EXPECT_EQ(look_at(kernel, addresses, Untouched::if_there).error, EACCES);
  kernel.status_of_all = -ENOENT;
  kernel.resident_error = EPERM;
  const auto look = look_at(kernel, addresses, Untouched::if_there);
  EXPECT_EQ(look.error, EPERM);
  EXPECT_EQ(look.histogram.unknown, 3U);
}

TEST_F(LookAt, NothingIsNowhere) {
  kernel.query_error = EPERM;
  const auto look = look_at(kernel, std::span<const std::uint8_t* const>(), Untouched::fault_in);
  EXPECT_EQ(look.error, 0);
  EXPECT_EQ(look.histogram, NodeHistogram());
}

TEST_F(LookAt, LooksAtAllPagesOfAreas) {
  const std::array<MemoryArea, 2> areas{{{10 * page, 2 * page}, {20 * page, page}}};
  const auto look = look_at(kernel, areas);
  EXPECT_EQ(look.histogram.placed(), 3U);
  EXPECT_EQ(look.histogram.on(1), 1U);
}

std::vector<std::uintptr_t> spread(std::uintptr_t begin, std::size_t bytes, std::size_t count) {
  std::vector<const std::uint8_t*> pages;
  numa::spread_over(at(begin), bytes, count, pages);
  std::vector<std::uintptr_t> numbers;
  for (const auto* address : pages) numbers.push_back(reinterpret_cast<std::uintptr_t>(address) / page);
  return numbers;
}

TEST(Spread, TakesFirstAndLastPage) {
  using Pages = std::vector<std::uintptr_t>;
  EXPECT_EQ(spread(10 * page, 9 * page, 3), (Pages{10, 14, 18}));
  EXPECT_EQ(spread(10 * page + 100, 9 * page, 3), (Pages{10, 14, 19})) << "ten pages are touched";
  EXPECT_EQ(spread(10 * page, 2 * page, 64), (Pages{10, 11}));
  EXPECT_EQ(spread(10 * page, 1, 64), (Pages{10}));
  EXPECT_EQ(spread(10 * page, 9 * page, 1), (Pages{10}));
  EXPECT_EQ(spread(10 * page, 0, 64), Pages());
  EXPECT_EQ(spread(10 * page, page, 0), Pages());
}

TEST(Spread, IsForTerabytesToo) {
  const auto pages = spread(page, std::size_t{1} << 46, 64);
  ASSERT_EQ(pages.size(), 64U);
  EXPECT_EQ(pages.back(), (std::uintptr_t{1} << 46) / page);
}

}  // namespace
}  // namespace vhostx::test
