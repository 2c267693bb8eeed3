// SPDX-License-Identifier: BSD-3-Clause
// What a port says of its link and its vrings together, and counters that are set to 0.
#include <algorithm>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "net/ring_counters.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using protocol::FrontEndRequest;

constexpr std::uint64_t driver_ok = 4;

struct PortState : ::testing::Test {
  PortState() { start_eal(); }

  PortFixture fixture{[](PortOptions& options) { options.queue_pairs_max = 2; }};
  Port& port = *fixture.port;
};

TEST_F(PortState, ALinkIsUpWithBothVringsOfAPair) {
  EXPECT_FALSE(port.link_up());
  FakeMachine machine(fixture.options.socket_path, 4);
  machine.negotiate();
  machine.send_memory();
  machine.configure_ring(0);
  machine.send_fds(0);
  machine.enable(0);
  machine.sync();
  EXPECT_FALSE(port.link_up());
  EXPECT_EQ(port.info().vrings_ready, 1);
  machine.configure_ring(1);
  machine.send_fds(1);
  machine.sync();
  EXPECT_EQ(port.info().vrings_ready, 2);
  EXPECT_EQ(port.info().queue_pairs_up, 0) << "vring 1 is not enabled";
  machine.enable(1);
  machine.sync();
  EXPECT_TRUE(port.link_up()) << "a kick is not needed";
  const PortInfo info = port.info();
  EXPECT_TRUE(info.link_up);
  EXPECT_EQ(info.queue_pairs_up, 1);
  must(machine.front_end().get_vring_base(0));
  EXPECT_FALSE(port.link_up());
}

TEST_F(PortState, AllPairsAreCountedAndABrokenVringEndsOne) {
  FakeMachine machine(fixture.options.socket_path, 4);
  machine.bring_up();
  for (int ring = 0; ring < 4; ++ring) fixture.events.until<VringStarted>();
  EXPECT_EQ(port.info().queue_pairs_up, 2);
  EXPECT_EQ(port.info().vrings_ready, 4);
  machine.ring(3).driver.lie();
  take_burst(port.from_guest(1));
  EXPECT_EQ(port.info().queue_pairs_up, 1);
  EXPECT_TRUE(port.link_up());
  machine.front_end().disconnect();
  fixture.events.until<FrontEndDisconnected>();
  EXPECT_FALSE(port.link_up());
  EXPECT_EQ(port.info().vrings_ready, 0);
}

TEST_F(PortState, TheDriverSaysThatItIsReady) {
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  machine.sync();
  EXPECT_FALSE(port.info().driver_ok) << "no SET_STATUS has come";
  must(machine.front_end().set_u64(FrontEndRequest::set_status, 0xf));
  machine.sync();
  EXPECT_TRUE(port.info().driver_ok);
  must(machine.front_end().set_u64(FrontEndRequest::set_status, 0xf & ~driver_ok));
  machine.sync();
  EXPECT_FALSE(port.info().driver_ok);
}

TEST_F(PortState, WithoutStatusAVringThatIsReadySaysSo) {
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate(usual_features, {protocol::ProtocolFeature::mq, protocol::ProtocolFeature::reply_ack});
  machine.send_memory();
  machine.sync();
  EXPECT_FALSE(port.info().driver_ok);
  machine.configure_ring(0);
  machine.send_fds(0);
  machine.sync();
  EXPECT_TRUE(port.info().driver_ok);
}

TEST_F(PortState, CountersAreSummedByDirectionAndReset) {
  FakeMachine machine(fixture.options.socket_path, 4);
  machine.bring_up();
  for (int ring = 0; ring < 4; ++ring) fixture.events.until<VringStarted>();
  const auto send_and_take = [&] {
    for (std::uint16_t pair = 0; pair < 2; ++pair) {
      for (int i = 0; i <= pair; ++i)
        machine.ring(from_guest_index(pair)).driver.chain().readable(small_packet()).publish();
      EXPECT_EQ(take_burst(port.from_guest(pair)), pair + 1);
    }
  };
  send_and_take();
  EXPECT_EQ(port.stats().from_guest[VringCounter::packets], 3u);
  EXPECT_EQ(port.stats().from_guest[VringCounter::bytes], 180u);
  EXPECT_EQ(port.stats().to_guest[VringCounter::packets], 0u);
  port.from_guest(0).reset_stats();
  EXPECT_EQ(port.from_guest(0).count(VringCounter::packets), 0u);
  EXPECT_EQ(port.stats().from_guest[VringCounter::packets], 2u);
  port.reset_stats();
  EXPECT_EQ(port.stats().from_guest.values, VringStats{}.values);
  send_and_take();
  EXPECT_EQ(port.stats().from_guest[VringCounter::packets], 3u);
  EXPECT_EQ(port.from_guest(1).stats()[VringCounter::packets], 2u);
}

// A difference that went below 0 would be seen as a huge number.
TEST(RingCounters, AReaderNeverSeesLessThanNothing) {
  constexpr std::uint64_t adds = 2'000'000;
  net::RingCounters counters;
  std::atomic<bool> done{false};
  std::thread control([&] {
    while (!done.load()) counters.reset();
  });
  std::thread data([&] {
    for (std::uint64_t i = 0; i < adds; ++i) counters.add(VringCounter::packets, 1);
    done = true;
  });
  std::uint64_t most = 0;
  while (!done.load()) most = std::max(most, counters.shown(VringCounter::packets));
  data.join();
  control.join();
  EXPECT_LE(most, adds);
  EXPECT_EQ(counters.value(VringCounter::packets), adds);
}

}  // namespace
}  // namespace vhostx::test
