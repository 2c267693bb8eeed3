// SPDX-License-Identifier: BSD-3-Clause
// Which worker a lane goes to, on machines with more nodes than this one.
#include "tools/switch/lane_placement.hpp"

#include <array>

#include <gtest/gtest.h>

#include "tests/backend/port_fixture.hpp"
#include "tools/switch/worker.hpp"

namespace vhostx::tools {
namespace {

TEST(ChooseWorker, TheLeastLoadedOnTheNode) {
  const std::array<WorkerLoad, 5> workers{{{0, 0}, {1, 7}, {1, 5}, {1, 6}, {2, 9}}};
  EXPECT_EQ(choose_worker(1, 0, workers), 2);
  EXPECT_EQ(choose_worker(2, 0, workers), 4);
}

TEST(ChooseWorker, WhoIsThereStaysThere) {
  const std::array<WorkerLoad, 3> workers{{{1, 0}, {1, 9}, {0, 0}}};
  EXPECT_EQ(choose_worker(1, 1, workers), 1);
}

TEST(ChooseWorker, WithoutAWorkerThereOrANodeNothingChanges) {
  const std::array<WorkerLoad, 2> workers{{{0, 5}, {1, 0}}};
  EXPECT_EQ(choose_worker(3, 0, workers), 0);
  EXPECT_EQ(choose_worker(no_node, 0, workers), 0);
  const std::array<WorkerLoad, 2> unknown{{{no_node, 5}, {no_node, 0}}};
  EXPECT_EQ(choose_worker(0, 0, unknown), 0);
}

TEST(ChooseWorker, OneThatHasEndedGetsNothing) {
  const std::array<WorkerLoad, 3> workers{{{0, 0}, {1, 0, true}, {1, 8}}};
  EXPECT_EQ(choose_worker(1, 0, workers), 2);
  const std::array<WorkerLoad, 2> all{{{0, 0}, {1, 0, true}}};
  EXPECT_EQ(choose_worker(1, 0, all), 0);
}

/// Workers that do not run, so that requests stay requests.
class LanePlacementTest : public testing::Test {
 protected:
  void make(const std::vector<int>& worker_nodes, std::size_t lanes) {
    for (std::size_t i = 0; i < worker_nodes.size(); ++i) {
      WorkerOptions options;
      options.index = static_cast<std::uint16_t>(i);
      options.node = worker_nodes[i];
      workers_.push_back(test::must(Worker::create(fabric_, options)));
      fabric_.workers.push_back(workers_.back().get());
    }
    for (std::size_t i = 0; i < lanes; ++i) {
      fabric_.lanes.push_back(std::make_unique<RxLane>());
      lane(i).port = static_cast<std::uint16_t>(i);
      lane(i).receives = true;
      lane(i).worker = placement_.next_in_turn();
      lane(i).wanted = lane(i).worker.load();
    }
  }
  RxLane& lane(std::size_t i) { return *fabric_.lanes[i]; }
  std::vector<int> wanted() const {
    std::vector<int> all;
    for (const auto& lane : fabric_.lanes) all.push_back(lane->wanted);
    return all;
  }
  using Workers = std::vector<int>;

  Fabric fabric_;
  std::vector<std::unique_ptr<Worker>> workers_;
  LanePlacement placement_{fabric_};
};

TEST_F(LanePlacementTest, LanesAreHandedRound) {
  make({0, 0, 0}, 5);
  EXPECT_EQ(wanted(), (Workers{0, 1, 2, 0, 1}));
}

TEST_F(LanePlacementTest, LanesFollowTheirGuestsAndShareTheNodesWorkers) {
  make({0, 1, 1}, 6);
  for (std::size_t i = 0; i < 6; ++i) placement_.follow(lane(i), 1);
  EXPECT_EQ(wanted(), (Workers{1, 1, 2, 2, 1, 2}));
  for (std::size_t i = 0; i < 6; ++i) placement_.follow(lane(i), 0);
  EXPECT_EQ(wanted(), (Workers{0, 0, 0, 0, 0, 0}));
}

TEST_F(LanePlacementTest, GuestsThatRunWeighMoreThanPortsThatWait) {
  make({0, 1, 1}, 7);
  for (std::size_t i = 0; i < 7; ++i) lane(i).receives = false;  // 0 1 2 0 1 2 0
  lane(2).receives = true;
  lane(0).receives = true;
  placement_.follow(lane(0), 1);
  EXPECT_EQ(lane(0).wanted, 1);
}

TEST_F(LanePlacementTest, ARequestIsOneUntilItIsDone) {
  make({0, 1}, 2);
  const auto version = fabric_.lanes_version.load();
  placement_.follow(lane(0), 1);
  EXPECT_EQ(lane(0).worker, 0);
  EXPECT_EQ(lane(0).wanted, 1);
  EXPECT_NE(fabric_.lanes_version.load(), version);
  placement_.follow(lane(0), 0);
  EXPECT_EQ(lane(0).wanted, 0);
}

TEST_F(LanePlacementTest, ANodeWithoutAWorkerChangesNothing) {
  make({0, 1}, 2);
  const auto version = fabric_.lanes_version.load();
  placement_.follow(lane(0), 5);
  placement_.follow(lane(1), no_node);
  EXPECT_EQ(wanted(), (Workers{0, 1}));
  EXPECT_EQ(fabric_.lanes_version.load(), version);
}

TEST_F(LanePlacementTest, OneWorkerHasThemAll) {
  make({0}, 2);
  placement_.follow(lane(1), 1);
  EXPECT_EQ(wanted(), (Workers{0, 0}));
}

TEST_F(LanePlacementTest, MovesAreToldOnce) {
  make({0, 1, 2}, 3);
  EXPECT_TRUE(placement_.take_moves().empty());
  lane(1).worker = 2;
  const auto moves = placement_.take_moves();
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].port, 1);
  EXPECT_EQ(moves[0].from, 1);
  EXPECT_EQ(moves[0].to, 2);
  EXPECT_TRUE(placement_.take_moves().empty());
}

TEST(NodeOfLane, IsUnknownWithoutAGuest) { EXPECT_EQ(node_of(RxLane()), no_node); }

}  // namespace
}  // namespace vhostx::tools
