// SPDX-License-Identifier: BSD-3-Clause
// Moving pages, and the choice of the node.
#include "numa/move.hpp"

#include <array>

#include <gtest/gtest.h>

#include "tests/support/fake_kernel.hpp"

namespace vhostx::test {
namespace {

constexpr std::size_t page = FakeKernel::page_bytes;
constexpr std::array<MemoryArea, 2> areas{{{10 * page, 2 * page}, {20 * page, 3 * page}}};

TEST(MoveTo, MovesAndLooksAgain) {
  FakeKernel kernel;
  kernel.put(reinterpret_cast<void*>(20 * page), page, 1);
  const auto move = numa::move_to(kernel, areas, 1);
  EXPECT_EQ(move.error, 0);
  EXPECT_EQ(move.moved, 4U) << "one was there already";
  EXPECT_EQ(move.after.histogram.on(1), 5U);
}

TEST(MoveTo, SaysWhatIsLeftWhereThereIsNoRoom) {
  FakeKernel kernel;
  kernel.room = 3;
  const auto move = numa::move_to(kernel, areas, 1);
  EXPECT_EQ(move.error, 0) << "the kernel does not call that an error";
  EXPECT_EQ(move.moved, 3U);
  EXPECT_EQ(move.after.histogram.on(0), 2U);
}

TEST(MoveTo, SaysWhatTheKernelAnswers) {
  FakeKernel kernel;
  kernel.move_error = EINVAL;
  const auto move = numa::move_to(kernel, areas, 1);
  EXPECT_EQ(move.error, EINVAL);
  EXPECT_EQ(move.moved, 0U);
  EXPECT_EQ(move.after.histogram.on(0), 5U);
  EXPECT_EQ(kernel.moves, 2U) << "the other area is tried all the same";
}

NodeHistogram pages(std::vector<NodePages> nodes) { return {.nodes = std::move(nodes)}; }

TEST(WantedNode, IsTheRings) {
  EXPECT_EQ(numa::wanted_node(pages({{1, 3}}), {}, no_node), 1);
  EXPECT_EQ(numa::wanted_node(pages({{1, 3}}), pages({{1, 64}}), no_node), 1);
  EXPECT_EQ(numa::wanted_node(pages({{0, 2}, {1, 3}}), {}, no_node), 1);
}

TEST(WantedNode, IsWeighedWithTheBuffers) {
  // A guest on two nodes, its rings on one of them.
  EXPECT_EQ(numa::wanted_node(pages({{0, 3}}), pages({{0, 32}, {1, 32}}), no_node), 0);
  // As much for the one as for the other: the ring's.
  EXPECT_EQ(numa::wanted_node(pages({{0, 3}}), pages({{1, 64}}), no_node), 0);
  EXPECT_EQ(numa::wanted_node(pages({{1, 3}}), pages({{0, 64}}), no_node), 1);
  // Rings across a border, buffers not.
  EXPECT_EQ(numa::wanted_node(pages({{0, 2}, {1, 1}}), pages({{1, 64}}), no_node), 1);
}

TEST(WantedNode, StaysWhereItIsForASmallAdvantage) {
  const auto ring = pages({{0, 2}, {1, 2}});
  EXPECT_EQ(numa::wanted_node(ring, pages({{0, 30}, {1, 34}}), 0), 0);
  EXPECT_EQ(numa::wanted_node(ring, pages({{0, 34}, {1, 30}}), 1), 1);
  EXPECT_EQ(numa::wanted_node(ring, pages({{0, 16}, {1, 48}}), 0), 1);
  EXPECT_EQ(numa::wanted_node(pages({{1, 3}}), pages({{1, 64}}), 0), 1);
}

TEST(WantedNode, IsNotKnownWhereNothingIs) {
  EXPECT_EQ(numa::wanted_node({}, {}, no_node), no_node);
  EXPECT_EQ(numa::wanted_node({}, {}, 1), no_node);
  EXPECT_EQ(numa::wanted_node({}, pages({{1, 5}}), no_node), 1);
}

}  // namespace
}  // namespace vhostx::test
