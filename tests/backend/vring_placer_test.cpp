// SPDX-License-Identifier: BSD-3-Clause
// VringPlacer on machines that nobody here has: several nodes, full ones, forbidden calls.
#include "backend/ring/vring_placer.hpp"

#include <array>
#include <memory>

#include <gtest/gtest.h>

#include "tests/support/fake_driver.hpp"
#include "tests/support/fake_kernel.hpp"

namespace vhostx::test {
namespace {

using backend::RunningVring;
using backend::VringPlacer;
using Effort = VringPlacer::Effort;

constexpr std::uint64_t base = 0x10000;
constexpr std::size_t page = FakeKernel::page_bytes;
constexpr std::uintptr_t state_at = 0x7000'0000'0000;

struct Placer : testing::Test {
  FakeKernel kernel;
  FakeGuest guest{{{base, 0x20000}}};
  FakeDriver driver{guest, 8};
  RunningVring running;
  PortOptions options;
  std::unique_ptr<VringPlacer> placer;
  std::array<MemoryArea, 2> state{{{state_at, 2 * page}, {state_at + 0x10000, page}}};

  void SetUp() override {
    running.memory = guest.map();
    running.layout = *driver.lay_out_any(*running.memory);
    make();
  }
  void make() { placer = std::make_unique<VringPlacer>(options, kernel); }
  void put_guest(int node) { kernel.put(running.memory->translate(memory::GuestAddress{base}, 1).data, 0x20000, node); }
  void post(std::uint64_t address, int node) {
    driver.chain().raw(address, 1500).publish();
    kernel.put(running.memory->translate(memory::GuestAddress{address}, 1).data, page, node);
  }
  bool look(Effort effort = Effort::usual) { return placer->look(running, state, effort); }
};

TEST_F(Placer, TakesTheStateToTheGuestsNode) {
  put_guest(1);
  EXPECT_EQ(placer->node(), no_node);
  EXPECT_TRUE(look());
  const VringPlacement placement = placer->last();
  EXPECT_EQ(placer->node(), 1);
  EXPECT_EQ(placement.ring_node, 1);
  EXPECT_EQ(placement.wanted_node, 1);
  EXPECT_EQ(placement.state_node, 1);
  EXPECT_EQ(placement.state.on(1), 3U);
  EXPECT_EQ(placement.moved, 3U);
  EXPECT_EQ(placement.move_errno, 0);
  EXPECT_EQ(placement.problem, "");
  EXPECT_EQ(placement.state_areas.size(), 2U);
  EXPECT_EQ(placement.state_areas[0].address, state_at);
}

TEST_F(Placer, SaysNothingWhenNothingChanges) {
  put_guest(1);
  EXPECT_TRUE(look());
  const std::uint32_t moves = kernel.moves;
  EXPECT_FALSE(look());
  EXPECT_FALSE(look(Effort::full));
  EXPECT_EQ(kernel.moves, moves) << "nothing is moved that is there";
}

// Else the kernel's automatic balancing would take it away again.
TEST_F(Placer, TellsTheKernelAlsoOfWhatIsInPlace) {
  EXPECT_TRUE(look());
  EXPECT_EQ(kernel.moves, 2U) << "once each area";
  EXPECT_EQ(placer->last().moved, 0U);
  look();
  EXPECT_EQ(kernel.moves, 2U);
  placer->forget();
  look();
  EXPECT_EQ(kernel.moves, 4U) << "a new start has new pages";
}

TEST_F(Placer, FollowsAGuestThatMoves) {
  put_guest(1);
  look();
  put_guest(2);
  EXPECT_TRUE(look());
  EXPECT_EQ(placer->node(), 2);
  EXPECT_EQ(placer->last().state_node, 2);
}

TEST_F(Placer, TellsOfBuffersThatMoveAlone) {
  post(base + 0x8000, 0);
  EXPECT_TRUE(look());
  post(base + 0x9000, 1);
  post(base + 0xa000, 1);
  EXPECT_TRUE(look());
  const VringPlacement placement = placer->last();
  EXPECT_EQ(placement.buffers.on(1), 2U);
  EXPECT_EQ(placement.buffers.on(0), 1U);
  EXPECT_EQ(placement.wanted_node, 0) << "the ring is there";
}

TEST_F(Placer, ReportsAndMovesNothing) {
  options.numa = NumaPolicy::report;
  make();
  put_guest(1);
  EXPECT_TRUE(look());
  EXPECT_EQ(placer->last().wanted_node, 1);
  EXPECT_EQ(placer->last().state_node, 0);
  EXPECT_EQ(kernel.moves, 0U);
  placer->move_later_pages(state);
  EXPECT_EQ(kernel.moves, 0U);
}

TEST_F(Placer, DoesNotLookWhenItIsOff) {
  options.numa = NumaPolicy::off;
  make();
  EXPECT_FALSE(look(Effort::full));
  EXPECT_EQ(placer->node(), no_node);
}

TEST_F(Placer, RaisesNoEventOnOneNode) {
  kernel.several_nodes = false;
  make();
  EXPECT_FALSE(look());
  placer->move_later_pages(state);
  EXPECT_EQ(kernel.moves, 0U);
  EXPECT_EQ(placer->node(), 0) << "it can be asked all the same";
}

TEST_F(Placer, SaysWhatANodeWithoutRoomLeaves) {
  put_guest(1);
  kernel.room = 1;
  EXPECT_TRUE(look());
  const VringPlacement placement = placer->last();
  EXPECT_EQ(placement.state_node, no_node) << "on two nodes";
  EXPECT_EQ(placement.moved, 1U);
  EXPECT_EQ(placement.problem, "2 of 3 pages of the state could not be moved to node 1");
  EXPECT_EQ(placer->node(), 1) << "mbufs and lcore may still go there";
}

TEST_F(Placer, TriesAgainAfterGrowingPauses) {
  put_guest(1);
  kernel.room = 0;
  std::uint32_t tries = 0;
  for (int i = 0; i < 20; ++i) {
    const std::uint32_t before = kernel.moves;
    EXPECT_EQ(look(), i == 0) << "it is told once";
    if (kernel.moves != before) ++tries;
  }
  EXPECT_EQ(tries, 5U) << "looks 0, 1, 3, 7 and 15";
  const std::uint32_t before = kernel.moves;
  look(Effort::full);
  EXPECT_NE(kernel.moves, before) << "at once when the application asks";
  kernel.room = 10;
  EXPECT_TRUE(look(Effort::full));
  EXPECT_EQ(placer->last().problem, "");
  EXPECT_EQ(placer->last().state_node, 1);
}

TEST_F(Placer, SaysWhatTheKernelAnswered) {
  put_guest(1);
  kernel.move_error = EPERM;
  EXPECT_TRUE(look());
  EXPECT_EQ(placer->last().move_errno, EPERM);
  EXPECT_EQ(placer->last().problem, "3 of 3 pages of the state could not be moved to node 1: Operation not permitted");
  EXPECT_FALSE(look());
}

TEST_F(Placer, SaysWhyNothingIsKnown) {
  kernel.query_error = kernel.node_of_error = EPERM;
  post(base + 0x8000, 0);
  EXPECT_TRUE(look());
  const VringPlacement placement = placer->last();
  EXPECT_EQ(placement.wanted_node, no_node);
  EXPECT_EQ(placement.ring_node, no_node);
  EXPECT_NE(placement.ring.unknown, 0U);
  EXPECT_EQ(placement.move_errno, EPERM);
  EXPECT_EQ(placement.problem, "the node of the guest's memory is not known: Operation not permitted");
  EXPECT_EQ(kernel.moves, 0U);
}

TEST_F(Placer, TakesNewPagesAlong) {
  put_guest(1);
  placer->move_later_pages(state);
  EXPECT_EQ(kernel.moves, 0U) << "where to is not known yet";
  look();
  const std::array<MemoryArea, 1> more{{{state_at + 0x20000, page}}};
  placer->move_later_pages(more);
  int node = no_node;
  kernel.node_of(reinterpret_cast<void*>(state_at + 0x20000), node);
  EXPECT_EQ(node, 1);
}

TEST_F(Placer, ForgetsTheGuestAndNotTheState) {
  put_guest(1);
  look();
  placer->forget();
  EXPECT_EQ(placer->node(), no_node);
  EXPECT_EQ(placer->last().wanted_node, no_node);
  EXPECT_EQ(placer->last().state_node, 1);
  EXPECT_TRUE(look());
  EXPECT_EQ(placer->last().moved, 3U) << "of the last move: this look found all in place";
}

}  // namespace
}  // namespace vhostx::test
