// SPDX-License-Identifier: BSD-3-Clause
// An application that begins a burst and does not end it: the control thread stops waiting, says so, and what the burst
// uses is there until it ends. Each of these tests waits for VringGate::patience_usual.
#include <pthread.h>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <vhostx/transfer.hpp>

#include "tests/backend/backend_log.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

struct StuckBurst : ::testing::Test {
  // The library waits for the burst for 5 s of its own sleeps: longer on a machine that is busy.
  static constexpr std::chrono::seconds patience_of_peer{120};

  StuckBurst()
      : fixture((start_eal(), [](PortOptions&) {}), log.options()),
        machine(must(FakeFrontEnd::connect(fixture.options.socket_path, patience_of_peer))) {
    machine.bring_up();
    for (int i = 0; i < 2; ++i) fixture.events.until<VringStarted>();
    transmit(machine, 2);
  }
  void begin() { ASSERT_EQ(transfer->begin(fixture.port->from_guest(), 32), 2); }
  /// What the burst reads and writes is still there.
  void end() {
    EXPECT_EQ(transfer->packet(1).length, 60u);
    transfer->end(2);
    EXPECT_EQ(machine.ring(1).driver.reap().size(), 2u);
  }
  void expect_said(const char* outcome) {
    EXPECT_NE(log.lines().find(std::string("vring 1 ") + outcome), std::string::npos) << log.lines();
  }

  BackendLog log;
  PortFixture fixture;
  FakeMachine machine;
  std::unique_ptr<Transfer> transfer = must(Transfer::create());
};

TEST_F(StuckBurst, ThePortIsDestroyedAllTheSame) {
  begin();
  fixture.port.reset();
  expect_said("stopped");
  EXPECT_NE(log.lines().find("vring 1: the control thread has waited 1000 ms"), std::string::npos) << log.lines();
  end();
}

TEST_F(StuckBurst, ItsRingStopsAtAChangeAndStartsWhenTheBurstHasEnded) {
  begin();
  machine.send_fds(1);  // another snapshot of a ring that runs
  EXPECT_EQ(fixture.events.until<VringStopped>().index, 1);
  expect_said("stopped");
  machine.send_fds(1);
  machine.sync();
  expect_said("not started");
  EXPECT_TRUE(fixture.port->to_guest().state().started);
  EXPECT_FALSE(fixture.port->from_guest().state().started);
  end();
  machine.send_fds(1);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 1);
  transmit(machine, 1);
  ASSERT_EQ(transfer->begin(fixture.port->from_guest(), 32), 1);
  transfer->end(1);
}

#ifdef VHOSTX_CHECK_THREADS
TEST_F(StuckBurst, AnotherThreadInTheVringIsRefusedAndBothAreNamed) {
  begin();
  std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "intruder");
    EXPECT_EQ(take_burst(fixture.port->from_guest()), 0);
  }).join();
  while (log.lines().find("vring 1: thread ") == std::string::npos) std::this_thread::yield();
  const std::string name = "while thread " + std::to_string(::syscall(SYS_gettid)) + " (";
  EXPECT_NE(log.lines().find(name), std::string::npos) << log.lines();
  end();
}
#endif

}  // namespace
}  // namespace vhostx::test
