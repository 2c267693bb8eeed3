// SPDX-License-Identifier: BSD-3-Clause
// Which mempool a node gets, on machines that exist only here.
#include "topology/pool_table.hpp"

#include <array>
#include <set>

#include <gtest/gtest.h>

namespace vhostx::topology {
namespace {

using Choice = MempoolsByNode::Choice;

/// Nodes 0, 1 and 2; pools are numbers.
class PoolTableTest : public testing::Test {
 protected:
  PoolTable make_table(std::size_t pools_max = 8, std::string one_pool_because = {}) {
    PoolTable::Source source;
    source.make = [this](int node) { return make(node); };
    source.nodes = [this] { return nodes_; };
    source.now = [this] { return now_; };
    source.one_pool_because = std::move(one_pool_because);
    return PoolTable(std::move(source), pools_max);
  }
  Result<MempoolsByNode::Pool> make(int node) {
    ++attempts_;
    if (full_.count(node) != 0) return Error{ErrorCode::out_of_memory, "no huge page is free", 0};
    auto* const pool = reinterpret_cast<rte_mempool*>(&places_[made_++]);
    const auto strayed = strays_.find(node);
    return MempoolsByNode::Pool{strayed == strays_.end() ? node : strayed->second, pool};
  }
  static Choice must(Result<Choice> result) {
    if (result) return *result;
    ADD_FAILURE() << result.error().message;
    return {};
  }

  std::vector<int> nodes_{0, 1, 2};
  std::set<int> full_;
  std::map<int, int> strays_;  // where a pool for a node really lands
  PoolTable::Clock::time_point now_{};
  int attempts_ = 0;

 private:
  std::array<char, 64> places_{};
  std::size_t made_ = 0;
};

TEST_F(PoolTableTest, EachNodeHasOneMadeWhenItIsFirstAskedFor) {
  auto table = make_table();
  EXPECT_EQ(attempts_, 0);
  const auto one = must(table.on(1));
  const auto zero = must(table.on(0));
  EXPECT_EQ(one.node, 1);
  EXPECT_EQ(zero.node, 0);
  EXPECT_NE(one.pool, zero.pool);
  EXPECT_EQ(must(table.on(1)).pool, one.pool);
  EXPECT_TRUE(one.problem.empty() && zero.problem.empty());
  ASSERT_EQ(table.pools().size(), 2u);
  EXPECT_EQ(table.pools()[0].node, 1);
  EXPECT_EQ(attempts_, 2);
}

TEST_F(PoolTableTest, AnyNodeTakesWhatIsThere) {
  auto table = make_table();
  const auto first = must(table.on(no_node));
  EXPECT_EQ(must(table.on(no_node)).pool, first.pool);
  EXPECT_TRUE(first.problem.empty());
  EXPECT_EQ(attempts_, 1);
}

TEST_F(PoolTableTest, ANodeWithoutMemoryUsesAnotherOnesAndSaysSo) {
  full_ = {1};
  auto table = make_table();
  const auto zero = must(table.on(0));
  const auto one = must(table.on(1));
  EXPECT_EQ(one.pool, zero.pool);
  EXPECT_EQ(one.node, 0);
  EXPECT_EQ(one.problem, "node 1: no huge page is free: the pool of node 0 is used");
}

TEST_F(PoolTableTest, WhereThereIsNoPoolYetAnotherNodeMakesOne) {
  full_ = {0, 1};
  auto table = make_table();
  const auto choice = must(table.on(1));
  EXPECT_EQ(choice.node, 2);
  EXPECT_NE(choice.problem.find("node 1: no huge page is free"), std::string::npos) << choice.problem;
  const auto two = must(table.on(2));
  EXPECT_EQ(two.pool, choice.pool);
  EXPECT_TRUE(two.problem.empty());
}

TEST_F(PoolTableTest, ANodeIsTriedAgainAfterASecond) {
  full_ = {1};
  auto table = make_table();
  must(table.on(0));
  must(table.on(1));
  EXPECT_EQ(attempts_, 2);
  full_.clear();
  now_ += std::chrono::milliseconds(999);
  EXPECT_FALSE(must(table.on(1)).problem.empty());
  EXPECT_EQ(attempts_, 2);
  now_ += std::chrono::milliseconds(1);
  const auto one = must(table.on(1));
  EXPECT_EQ(one.node, 1);
  EXPECT_TRUE(one.problem.empty());
}

TEST_F(PoolTableTest, PoolsAreBounded) {
  auto table = make_table(2);
  must(table.on(0));
  must(table.on(1));
  const auto two = must(table.on(2));
  EXPECT_EQ(two.node, 0);
  EXPECT_NE(two.problem.find("there are 2 pools"), std::string::npos) << two.problem;
  EXPECT_EQ(attempts_, 2);
}

TEST_F(PoolTableTest, ANodeThatIsNotThereIsNotTried) {
  auto table = make_table();
  const auto choice = must(table.on(7));
  EXPECT_EQ(choice.node, 0);
  EXPECT_NE(choice.problem.find("node 7: it has no memory"), std::string::npos) << choice.problem;
  EXPECT_EQ(attempts_, 1);
}

TEST_F(PoolTableTest, APoolThatLandedElsewhereIsNotBelieved) {
  strays_ = {{1, 0}};
  auto table = make_table();
  const auto one = must(table.on(1));
  EXPECT_EQ(one.node, 0);
  EXPECT_EQ(one.problem, "node 1: the pool is on node 0");
  EXPECT_EQ(must(table.on(0)).pool, one.pool);
  EXPECT_EQ(must(table.on(1)).pool, one.pool);
}

TEST_F(PoolTableTest, AKernelThatDoesNotSayIsNoProblemOnOneNode) {
  strays_ = {{0, no_node}, {1, no_node}};
  auto table = make_table();
  EXPECT_NE(must(table.on(1)).problem.find("does not say"), std::string::npos);
  nodes_ = {0};
  auto small = make_table();
  EXPECT_TRUE(must(small.on(0)).problem.empty());
}

TEST_F(PoolTableTest, WithoutMemoryByNodeThereIsOnePool) {
  strays_ = {{no_node, 0}};
  auto table = make_table(8, "ordinary pages");
  const auto one = must(table.on(1));
  const auto zero = must(table.on(0));
  EXPECT_EQ(one.pool, zero.pool);
  EXPECT_EQ(one.problem, "node 1: the pool is on node 0 (ordinary pages)");
  EXPECT_TRUE(zero.problem.empty());
  EXPECT_EQ(attempts_, 1);
}

TEST_F(PoolTableTest, WithoutAnyMemoryThereIsAnError) {
  full_ = {0, 1, 2, no_node};
  auto table = make_table();
  for (const int node : {1, no_node}) {
    const auto choice = table.on(node);
    ASSERT_FALSE(choice);
    EXPECT_EQ(choice.error().code, ErrorCode::out_of_memory);
    EXPECT_NE(choice.error().message.find("no huge page is free"), std::string::npos);
  }
  EXPECT_TRUE(table.pools().empty());
}

}  // namespace
}  // namespace vhostx::topology
