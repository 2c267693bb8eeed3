// SPDX-License-Identifier: BSD-3-Clause
// Placement through the public interface, on the machine that this is; several nodes are in tests/lab.
#include <future>
#include <set>

#include <gtest/gtest.h>

#include <vhostx/numa.hpp>

#include "numa/kernel.hpp"
#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {
namespace {

struct PlacedPort : testing::Test {
  PortFixture fixture;
  std::unique_ptr<FakeMachine> machine;

  void SetUp() override {
    int node = no_node;
    if (numa::kernel().node_of(&node, node) != 0) GTEST_SKIP() << "get_mempolicy is not allowed here";
    machine = std::make_unique<FakeMachine>(fixture.options.socket_path);
    machine->bring_up();
    for (std::set<std::uint16_t> started; started.size() < 2;)
      started.insert(fixture.events.until<VringStarted>().index);
  }
  Vring& ring() { return fixture.port->from_guest(); }
};

TEST_F(PlacedPort, KnowsWhereThingsAre) {
  machine->ring(1).driver.chain().raw(0x4000'0000, 1500).publish();
  fixture.port->look_at_placement();
  const VringPlacement placement = ring().placement();
  EXPECT_GE(ring().numa_node(), 0);
  EXPECT_EQ(placement.wanted_node, ring().numa_node());
  EXPECT_EQ(placement.ring_node, ring().numa_node());
  EXPECT_EQ(placement.state_node, ring().numa_node());
  EXPECT_EQ(placement.buffers.placed() + placement.buffers.absent, 1U);
  EXPECT_EQ(placement.problem, "");
  const std::size_t more = tested_kind() == virtqueue::RingKind::packed ? 1 : 0;  // what is kept aside
  EXPECT_EQ(placement.state_areas.size(), 2 + more) << "the vring, and its snapshot";
}

TEST_F(PlacedPort, KnowsRegions) {
  const auto regions = fixture.port->memory_placement();
  ASSERT_EQ(regions.size(), 1U);
  EXPECT_EQ(regions[0].guest_address, 0x4000'0000U);
  EXPECT_EQ(regions[0].bytes, 8U << 20);
  EXPECT_EQ(regions[0].page_bytes, 4096U);
  const auto& sample = regions[0].sample;
  EXPECT_EQ(sample.placed() + sample.absent, 64U);
  EXPECT_NE(sample.absent, 0U) << "what the guest has not touched is not allocated by looking";
}

TEST_F(PlacedPort, ForgetsTheRegionsOfAFrontEndThatLeft) {
  machine.reset();
  fixture.events.until<FrontEndDisconnected>();
  EXPECT_TRUE(fixture.port->memory_placement().empty());
}

TEST(MemoryPlacement, IsToldWhileTheControlThreadIsHeldUp) {
  TemporaryFolder folder;
  auto backend = must(Backend::create());
  PortOptions options;
  options.socket_path = folder.path("vhost");
  std::promise<void> held_up, go_on;
  auto port = must(backend->open_port(options, [&](Port&, const PortEvent& event) {
    if (!std::holds_alternative<MemoryChanged>(event)) return;
    held_up.set_value();
    go_on.get_future().wait();
  }));
  FakeMachine machine(options.socket_path);
  machine.negotiate();
  machine.send_memory();
  held_up.get_future().wait();
  EXPECT_EQ(port->memory_placement().size(), 1U);
  go_on.set_value();
}

TEST_F(PlacedPort, ForgetsARingThatStops) {
  fixture.port->look_at_placement();
  ASSERT_GE(ring().numa_node(), 0);
  must(machine->front_end().get_vring_base(1));
  EXPECT_EQ(ring().numa_node(), no_node);
  EXPECT_EQ(ring().placement().ring.placed(), 0U);
  EXPECT_GE(fixture.port->to_guest().numa_node(), 0) << "the other one runs";
}

TEST_F(PlacedPort, LooksSoonAfterAStart) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (ring().numa_node() == no_node && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_GE(ring().numa_node(), 0);
}

TEST(UnplacedPort, KnowsNothing) {
  PortFixture fixture;
  EXPECT_TRUE(fixture.port->memory_placement().empty());
  fixture.port->look_at_placement();
  EXPECT_EQ(fixture.port->from_guest().numa_node(), no_node);
  EXPECT_TRUE(fixture.port->from_guest().placement().state_areas.empty());
}

TEST(UnplacedPort, RefusesAnIntervalThatIsNone) {
  BackendOptions options;
  auto backend = must(Backend::create(std::move(options)));
  TemporaryFolder folder;
  PortOptions port{.socket_path = folder.path("port")};
  port.numa_interval = std::chrono::milliseconds(5);
  const auto opened = backend->open_port(port, {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, "numa_interval is 5 ms, expected 10 to 86400000 ms");
}

}  // namespace
}  // namespace vhostx::test
