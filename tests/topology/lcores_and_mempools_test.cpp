// SPDX-License-Identifier: BSD-3-Clause
// Mempools and lcores by node on this machine, whatever it has; the choice of an lcore on machines that it is not.
#include <algorithm>
#include <array>
#include <sched.h>
#include <thread>

#include <gtest/gtest.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <vhostx/numa.hpp>

#include "tests/support/eal.hpp"
#include "topology/least_loaded.hpp"

namespace vhostx::test {
namespace {

MempoolsOptions small(const std::string& name) {
  MempoolsOptions options;
  options.name = name;
  options.mbufs = 255;
  options.cache = 0;
  return options;
}

TEST(Nodes, HaveMemory) {
  const auto nodes = memory_nodes();
  ASSERT_FALSE(nodes.empty());
  EXPECT_GE(nodes.front(), 0);
  EXPECT_LE(node_of_cpu(1'000'000), no_node);
}

TEST(MempoolsByNode, MbufsComeFromThePoolOfANode) {
  start_eal();
  auto pools = MempoolsByNode::create(small("of-a-node"));
  ASSERT_TRUE(pools) << pools.error().message;
  EXPECT_TRUE((*pools)->pools().empty());
  const auto nodes = memory_nodes();
  ASSERT_FALSE(nodes.empty());
  const auto choice = (*pools)->on(nodes.front());
  ASSERT_TRUE(choice) << choice.error().message;
  rte_mbuf* const mbuf = rte_pktmbuf_alloc(choice->pool);
  ASSERT_NE(mbuf, nullptr);
  EXPECT_EQ(mbuf->pool, choice->pool);
  EXPECT_EQ(mbuf->buf_len, 2176);
  rte_pktmbuf_free(mbuf);
  ASSERT_EQ((*pools)->pools().size(), 1u);
  EXPECT_EQ((*pools)->pools()[0].pool, choice->pool);
  EXPECT_EQ((*pools)->on(no_node)->pool, choice->pool);
  // On a machine with one node the pool is there; with several, ordinary pages (this EAL's) are wherever they are.
  if (nodes.size() == 1) {
    EXPECT_TRUE(choice->problem.empty()) << choice->problem;
    EXPECT_TRUE(choice->node == nodes.front() || choice->node == no_node);
  }
}

TEST(MempoolsByNode, ANodeThatIsNotThereGetsAnothersPool) {
  start_eal();
  auto pools = MempoolsByNode::create(small("not-there"));
  ASSERT_TRUE(pools);
  const auto choice = (*pools)->on(1000);
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_NE(choice->pool, nullptr);
  EXPECT_NE(choice->problem.find("node 1000"), std::string::npos) << choice->problem;
}

TEST(MempoolsByNode, ThreadsThatAskAtOnceGetTheSamePool) {
  start_eal();
  auto pools = MempoolsByNode::create(small("at-once"));
  ASSERT_TRUE(pools);
  std::array<rte_mempool*, 4> got{};
  std::vector<std::thread> threads;
  for (auto& pool : got)
    threads.emplace_back([&pool, &pools] {
      if (const auto choice = (*pools)->on(no_node)) pool = choice->pool;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_NE(got[0], nullptr);
  EXPECT_EQ(std::count(got.begin(), got.end(), got[0]), 4);
}

TEST(MempoolsByNode, WithoutMemoryThereIsAnError) {
  start_eal();
  auto options = small("too-large");
  options.mbufs = 1u << 20;  // more than this EAL has
  auto pools = MempoolsByNode::create(options);
  ASSERT_TRUE(pools);
  const auto choice = (*pools)->on(memory_nodes().front());
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::out_of_memory);
  EXPECT_NE(choice.error().message.find("too-large"), std::string::npos) << choice.error().message;
}

TEST(MempoolsByNode, OptionsOutOfRangeAreRefusedByName) {
  const auto refusal = [](auto change) {
    MempoolsOptions options;
    change(options);
    const auto pools = MempoolsByNode::create(options);
    return pools ? std::string() : pools.error().message;
  };
  using O = MempoolsOptions;
  EXPECT_EQ(refusal([](O& o) { o.name.clear(); }), "bytes of name is 0, expected 1 to 20");
  EXPECT_EQ(refusal([](O& o) { o.mbufs = 0; }), "mbufs is 0, expected 1 to 268435456");
  EXPECT_EQ(refusal([](O& o) { o.cache = 513; }), "cache is 513, expected 0 to 512");
  EXPECT_EQ(refusal([](O& o) { o.mbufs = 300; }), "cache is 256, expected 0 to 200");
  EXPECT_EQ(refusal([](O& o) { o.data_room = 255; }), "data_room is 255, expected 256 to 65535");
  EXPECT_EQ(refusal([](O& o) { o.pools_max = 65; }), "pools_max is 65, expected 1 to 64");
}

TEST(Lcores, AreOnTheNodeOfTheirCpu) {
  start_eal();
  const unsigned main = rte_get_main_lcore();
  const rte_cpuset_t cpus = rte_lcore_cpuset(main);
  unsigned cpu = 0;
  while (CPU_ISSET(cpu, &cpus) == 0) ++cpu;
  EXPECT_EQ(node_of_lcore(main), node_of_cpu(cpu));
  EXPECT_EQ(node_of_lcore(RTE_MAX_LCORE), no_node);
  EXPECT_EQ(node_of_lcore(RTE_MAX_LCORE - 1), no_node);  // runs nowhere
  EXPECT_EQ(node_of_cpu(1'000'000), no_node);
  const std::array<unsigned, 2> candidates{main, RTE_MAX_LCORE - 1};
  EXPECT_EQ(lcores_on(node_of_lcore(main), {candidates.data(), 1}), std::vector<unsigned>{main});
  EXPECT_EQ(lcores_on(no_node, candidates).back(), RTE_MAX_LCORE - 1u);
}

TEST(Lcores, TheLeastLoadedIsChosen) {
  start_eal();
  const unsigned main = rte_get_main_lcore();
  const std::array<LcoreLoad, 3> candidates{{{main, 3}, {main, 1}, {main, 2}}};
  EXPECT_EQ(choose_lcore(no_node, candidates), 1u);
  EXPECT_EQ(choose_lcore(node_of_lcore(main), candidates), 1u);
  EXPECT_EQ(choose_lcore(77, candidates), 1u);
}

TEST(LeastLoaded, OnTheNodeBeforeElsewhere) {
  using topology::least_loaded;
  const std::array<topology::NodeLoad, 4> candidates{{{0, 0}, {1, 5}, {1, 4}, {no_node, 0}}};
  EXPECT_EQ(least_loaded(1, candidates), 2u);
  EXPECT_EQ(least_loaded(0, candidates), 0u);
  EXPECT_EQ(least_loaded(2, candidates), 0u);
  EXPECT_EQ(least_loaded(no_node, candidates), 0u);
}

}  // namespace
}  // namespace vhostx::test
