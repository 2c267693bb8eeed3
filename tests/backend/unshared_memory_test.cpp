// SPDX-License-Identifier: BSD-3-Clause
// Guests whose memory the front-end has not shared: one warning a connection, and none for guests that are quiet.
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "backend/ring/idle_kicks.hpp"
#include "tests/backend/backend_log.hpp"
#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {
namespace {

using protocol::FrontEndRequest;
using protocol::U64;

constexpr std::uint64_t driver_ok = 1 + 2 + 4 + 8;
constexpr const char* empty = "kicked, but nothing is available in the ring";
constexpr const char* no_memory = "but the front-end has shared no memory";

struct UnsharedMemory : ::testing::Test {
  UnsharedMemory() : fixture({}, log.options()) { connect(); }

  void connect() {
    machine = nullptr;  // one at a time
    machine = std::make_unique<FakeMachine>(fixture.options.socket_path);
  }
  void bring_up() {
    machine->bring_up();
    for (int i = 0; i < 2; ++i) fixture.events.until<VringStarted>();
  }
  /// As a driver does: first the buffer, then the kick.
  void post_and_kick(std::uint16_t ring) {
    machine->ring(ring).driver.chain().writable(64).publish();
    machine->kick(ring);
  }
  /// What is not reported now will not be.
  void wait_long_enough() {
    std::this_thread::sleep_for(backend::IdleKicks::last_look + backend::IdleKicks::kicks_of_front_end * 3);
  }
  void wait_until_kicks_are_the_drivers() { std::this_thread::sleep_for(2 * backend::IdleKicks::kicks_of_front_end); }

  BackendLog log;
  PortFixture fixture;
  std::unique_ptr<FakeMachine> machine;
};

TEST_F(UnsharedMemory, IsReportedOnceAConnection) {
  for (std::size_t connection = 1; connection <= 2; ++connection) {
    if (connection != 1) connect();
    machine->guest().unshare();
    bring_up();
    const auto reported = [&] { return log.count(empty) == connection; };
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!reported() && std::chrono::steady_clock::now() < end) {
      if (machine->ring(0).driver.free_descriptors() != 0) post_and_kick(0);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_TRUE(reported()) << log.lines();
    EXPECT_EQ(log.count(std::string("vring 0: ") + empty), connection);
    post_and_kick(1);
    wait_long_enough();
    EXPECT_TRUE(reported()) << log.lines();
  }
}

TEST_F(UnsharedMemory, AGuestThatIsQuietIsNot) {
  bring_up();
  machine->kick(0);  // QEMU's own
  wait_until_kicks_are_the_drivers();
  // A driver that has just begun: descriptors first, and a kick for another reason.
  machine->ring(0).driver.chain().writable(64).write();
  machine->kick(0);
  post_and_kick(1);
  wait_long_enough();
  machine->kick(1);
  wait_long_enough();
  EXPECT_EQ(log.lines(), "");
}

TEST_F(UnsharedMemory, NoneAtAllWithADriverThatIsReady) {
  machine->negotiate();
  EXPECT_EQ(machine->status_of(FrontEndRequest::set_status, U64{driver_ok}), 0U);
  EXPECT_TRUE(log.wait_for(std::string("the driver is ready (DRIVER_OK), ") + no_memory)) << log.lines();
  EXPECT_EQ(machine->status_of(FrontEndRequest::set_status, U64{driver_ok}), 0U);
  wait_long_enough();
  EXPECT_EQ(log.count(no_memory), 1U) << log.lines();
}

TEST_F(UnsharedMemory, NoneAtAllWithAKick) {
  machine->negotiate();
  machine->configure_ring(0);
  machine->send_fds(0);
  machine->enable(0);
  machine->kick(0);
  EXPECT_TRUE(log.wait_for(std::string("vring 0 was kicked, ") + no_memory)) << log.lines();
}

TEST_F(UnsharedMemory, MemoryThatComesALittleLaterIsNotMissed) {
  machine->negotiate();
  EXPECT_EQ(machine->status_of(FrontEndRequest::set_status, U64{driver_ok}), 0U);
  machine->send_memory();
  wait_long_enough();
  EXPECT_EQ(log.lines(), "");
}

}  // namespace
}  // namespace vhostx::test
