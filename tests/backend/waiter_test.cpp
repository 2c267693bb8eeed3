// SPDX-License-Identifier: BSD-3-Clause
#include <future>
#include <poll.h>

#include <gtest/gtest.h>

#include <vhostx/waiter.hpp>

#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using std::chrono::milliseconds;

// Events that are there already are taken, so that the next wait is for something new.
void settle(Waiter& waiter) {
  while (waiter.wait(milliseconds(0))) {
  }
}

struct WaiterTest : ::testing::Test {
  WaiterTest() { start_eal(); }

  PortFixture fixture;
  FakeMachine machine{fixture.options.socket_path};
  std::unique_ptr<Waiter> waiter = must(Waiter::create());
};

TEST_F(WaiterTest, TimesOutAndWakesUp) {
  EXPECT_FALSE(waiter->wait(milliseconds(1)));
  waiter->wake();
  EXPECT_TRUE(waiter->wait(patience));
  EXPECT_FALSE(waiter->wait(milliseconds(0)));
  auto woken = std::async(std::launch::async, [this] { return waiter->wait(patience); });
  waiter->wake();
  EXPECT_TRUE(woken.get());
}

TEST_F(WaiterTest, AKickEndsTheWait) {
  must(waiter->watch(fixture.port->from_guest()));
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  settle(*waiter);
  for (int i = 0; i < 3; ++i) {  // nobody drains the eventfd: each kick counts all the same
    machine.kick(1);
    EXPECT_TRUE(waiter->wait(patience));
    EXPECT_FALSE(waiter->wait(milliseconds(0)));
  }
}

TEST_F(WaiterTest, AStartingRingEndsTheWait) {
  must(waiter->watch(fixture.port->from_guest()));
  auto woken = std::async(std::launch::async, [this] { return waiter->wait(patience); });
  machine.bring_up();
  EXPECT_TRUE(woken.get());
}

TEST_F(WaiterTest, RingsAreWatchedAgainAfterARestart) {
  must(waiter->watch(fixture.port->from_guest()));
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  must(machine.front_end().get_vring_base(1));
  settle(*waiter);
  machine.kick(1);
  EXPECT_FALSE(waiter->wait(milliseconds(1)));
  machine.configure_ring(1);
  machine.send_fds(1);
  fixture.events.until<VringStarted>();
  settle(*waiter);
  machine.kick(1);
  EXPECT_TRUE(waiter->wait(patience));
}

TEST_F(WaiterTest, UnwatchedRingsAreQuiet) {
  must(waiter->watch(fixture.port->from_guest()));
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  waiter->unwatch(fixture.port->from_guest());
  settle(*waiter);
  machine.kick(1);
  EXPECT_FALSE(waiter->wait(milliseconds(1)));
}

TEST_F(WaiterTest, OtherDescriptorsAreWatchedUntilTheyAreEmpty) {
  const EventFd other = must(EventFd::create());
  must(waiter->watch_fd(other.get()));
  settle(*waiter);
  other.signal();
  EXPECT_TRUE(waiter->wait(patience));
  EXPECT_TRUE(waiter->wait(milliseconds(0)));  // still there
  other.drain();
  EXPECT_FALSE(waiter->wait(milliseconds(0)));
  EXPECT_FALSE(waiter->watch_fd(-1));
  waiter->unwatch_fd(-1);
}

TEST_F(WaiterTest, ADescriptorThatIsAtAnEndIsLetGoOf) {
  const EventFd other = must(EventFd::create());
  must(waiter->watch_fd(other.get()));
  settle(*waiter);
  other.signal();
  waiter->unwatch_fd(other.get());
  EXPECT_FALSE(waiter->wait(milliseconds(0)));
}

TEST_F(WaiterTest, ItsDescriptorIsReadableWhenWaitWouldReturn) {
  settle(*waiter);
  pollfd watched{waiter->fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&watched, 1, 0), 0);
  waiter->wake();
  EXPECT_EQ(::poll(&watched, 1, 0), 1);
}

// The documented loop of waiter.hpp against a driver that kicks when it is asked to: no wake-up is lost.
TEST_F(WaiterTest, TheDocumentedLoopLosesNoWakeUp) {
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  Vring& vring = fixture.port->from_guest();
  must(waiter->watch(vring));
  constexpr int packets = 2000;
  auto taken = std::async(std::launch::async, [&] {
    int count = 0;
    while (count < packets) {
      const int burst = take_burst(vring);
      count += burst;
      if (burst != 0) continue;
      if (!vring.set_notifications(true) && !waiter->wait(patience)) return count;
      vring.set_notifications(false);
    }
    return count;
  });
  FakeDriver& driver = machine.ring(1).driver;
  for (int sent = 0; sent < packets; ++sent) {
    while (driver.free_descriptors() == 0 && taken.wait_for(milliseconds(0)) != std::future_status::ready)
      driver.reap();
    if (driver.free_descriptors() == 0) break;
    transmit(machine);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (driver.device_wants_kicks()) machine.kick(1);
  }
  EXPECT_EQ(taken.get(), packets);
}

}  // namespace
}  // namespace vhostx::test
