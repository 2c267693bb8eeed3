// SPDX-License-Identifier: BSD-3-Clause
// Which EAL options the switch chooses for itself.
#include <algorithm>

#include <gtest/gtest.h>

#include "tools/switch/eal_setup.hpp"

namespace vhostx::tools {
namespace {

constexpr std::uint64_t gibibyte = 1u << 30;

Options two_ports() {
  Options options;
  options.ports.resize(2);
  return options;
}

std::string after(const EalPlan& plan, const std::string& word) {
  const auto at = std::find(plan.arguments.begin(), plan.arguments.end(), word);
  return at == plan.arguments.end() || at + 1 == plan.arguments.end() ? "" : *(at + 1);
}
bool has(const EalPlan& plan, const std::string& word) {
  return std::find(plan.arguments.begin(), plan.arguments.end(), word) != plan.arguments.end();
}

TEST(EalPlan, TakesHugePagesWhereEnoughAreFree) {
  const auto plan = plan_eal(two_ports(), {{0, 1}, gibibyte, 2u << 20});
  EXPECT_FALSE(has(plan, "--no-huge"));
  EXPECT_EQ(std::count(plan.arguments.begin(), plan.arguments.end(), "--in-memory"), 1);
  EXPECT_TRUE(has(plan, "--no-pci"));
  EXPECT_FALSE(has(plan, "--no-telemetry"));
  EXPECT_EQ(after(plan, "--file-prefix"), "vhostx-switch") << "where telemetry has its socket";
  EXPECT_NE(plan.memory.find("huge pages of 2 MiB"), std::string::npos) << plan.memory;
  EXPECT_EQ(plan.otherwise, plan_eal(two_ports(), {{0, 1}, 0, 0}).arguments);
}

TEST(EalPlan, DoesWithoutHugePages) {
  for (const std::uint64_t free : {std::uint64_t{0}, std::uint64_t{16} << 20}) {
    const auto plan = plan_eal(two_ports(), {{0, 1}, free, 2u << 20});
    EXPECT_TRUE(has(plan, "--no-huge") && has(plan, "--no-shconf"));
    EXPECT_FALSE(has(plan, "--in-memory"));  // EAL takes only one of the two
    EXPECT_GE(std::stoul(after(plan, "-m")) << 20, plan_pool(2, 1).bytes);
    EXPECT_NE(plan.memory.find("--no-huge"), std::string::npos) << plan.memory;
  }
}

TEST(EalPlan, PutsWorkersOnTheLastCpus) {
  auto options = two_ports();
  EXPECT_EQ(after(plan_eal(options, {{0, 1}, 0, 0}), "--lcores"), "0@0,1@1");
  EXPECT_EQ(after(plan_eal(options, {{5}, 0, 0}), "--lcores"), "0@5,1@5");
  options.workers = 3;
  EXPECT_EQ(after(plan_eal(options, {{2, 4, 8, 9}, 0, 0}), "--lcores"), "0@2,1@9,2@8,3@4");
  EXPECT_EQ(after(plan_eal(options, {{2, 4}, 0, 0}), "--lcores"), "0@2,1@4,2@2,3@4");
}

TEST(EalPlan, TakesOrdinaryPagesWhereGetMempolicyIsDenied) {
  MachineFacts machine{{0, 1}, std::uint64_t{1} << 30, 2 << 20};
  machine.mempolicy_denied = true;
  const auto plan = plan_eal({}, machine);
  EXPECT_TRUE(has(plan, "--no-huge"));
  EXPECT_NE(plan.memory.find("get_mempolicy(2) is denied"), std::string::npos) << plan.memory;
}

/// Two CPUs on node 0, three on node 1, and so many free huge pages on each.
MachineFacts two_nodes(std::uint64_t free_on_0, std::uint64_t free_on_1) {
  return {{0, 1, 2, 3, 4}, free_on_0 + free_on_1, 2u << 20, {0, 0, 1, 1, 1}, {{0, free_on_0}, {1, free_on_1}}};
}

TEST(EalPlan, SpreadsWorkersOverTheNodes) {
  auto options = two_ports();
  options.workers = 2;
  EXPECT_EQ(after(plan_eal(options, two_nodes(gibibyte, gibibyte)), "--lcores"), "0@0,1@4,2@1");
  options.workers = 6;
  EXPECT_EQ(after(plan_eal(options, two_nodes(gibibyte, gibibyte)), "--lcores"), "0@0,1@4,2@1,3@3,4@2,5@0,6@4");
}

TEST(EalPlan, ANodeThatHasOnlyTheMainThreadsCpuHasAWorkerToo) {
  auto options = two_ports();
  options.workers = 2;
  const MachineFacts machine{{0, 1, 2}, 0, 0, {0, 1, 1}, {}};
  EXPECT_EQ(after(plan_eal(options, machine), "--lcores"), "0@0,1@2,2@0");
  const auto cpus = worker_cpus(machine, 3);
  ASSERT_EQ(cpus.size(), 3u);
  EXPECT_EQ(cpus[1].node, 0);
  EXPECT_EQ(cpus[2].cpu, 1u);
}

TEST(EalPlan, TakesHugePagesWhereOneNodeHasEnough) {
  auto options = two_ports();
  options.workers = 2;
  const auto plan = plan_eal(options, two_nodes(0, gibibyte));
  EXPECT_TRUE(has(plan, "--in-memory"));
  EXPECT_FALSE(has(plan, "-m") || has(plan, "--socket-mem"));  // taken when needed, on the node asked for
  EXPECT_NE(plan.memory.find("0 MiB free on node 0, 1024 MiB free on node 1"), std::string::npos) << plan.memory;
  // Half of what is needed on each is not enough on any.
  const auto half = plan_pool(2, 2).bytes / 2 + (33u << 20);
  EXPECT_TRUE(has(plan_eal(options, two_nodes(half, half)), "--no-huge"));
}

TEST(EalPlan, LeavesTheUsersOptionsAlone) {
  auto options = two_ports();
  options.eal_arguments = {"-l", "0-1"};
  EXPECT_EQ(plan_eal(options, {{0}, 0, 0}).arguments, options.eal_arguments);
}

TEST(PoolPlan, FullBacklogsLeaveHalfOfThePool) {
  for (const std::size_t ports : {1u, 2u, 16u, 64u, 256u})
    for (const unsigned workers : {1u, 2u, 64u}) {
      const auto plan = plan_pool(ports, workers);
      EXPECT_LE(ports * plan.backlog_segments, plan.mbufs / 2);
      EXPECT_GE(plan.backlog_segments, 64u);            // more than one packet of 64 KiB
      EXPECT_LE(plan.bytes, std::uint64_t{768} << 20);  // bounded
    }
}

TEST(MachineFacts, ThisMachineHasCpusAndNodes) {
  const auto machine = read_machine();
  EXPECT_FALSE(machine.cpus.empty());
  EXPECT_EQ(machine.cpu_nodes.size(), machine.cpus.size());
  EXPECT_FALSE(machine.huge_bytes_free_on.empty());
}

}  // namespace
}  // namespace vhostx::tools
