// SPDX-License-Identifier: BSD-3-Clause
// Port::close(): hot unplug, while threads poll the port.
#include <atomic>
#include <future>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <vhostx/waiter.hpp>

#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

struct ClosePort : ::testing::Test {
  ClosePort() { start_eal(); }

  bool has_socket() const {
    struct stat status;
    return ::stat(fixture.options.socket_path.c_str(), &status) == 0;
  }

  PortFixture fixture;
};

/// Threads that poll both vrings of a port until they are told to stop.
class Pollers {
 public:
  explicit Pollers(Port& port)
      : from_guest_([this, &port] { poll([&] { return take_burst(port.from_guest()); }); }),
        to_guest_([this, &port] { poll([&] { return port.to_guest().enqueue_burst(nullptr, 0); }); }) {}
  ~Pollers() { stop(); }

  std::uint64_t packets() const { return packets_; }
  void poll_on() {
    const std::uint64_t before = polls_;
    while (polls_ < before + 1000) std::this_thread::yield();
  }
  void stop() {
    stopping_ = true;
    for (auto* thread : {&from_guest_, &to_guest_})
      if (thread->joinable()) thread->join();
  }

 private:
  template <typename Burst>
  void poll(Burst burst) {
    while (!stopping_) {
      packets_ += burst();
      ++polls_;
    }
  }

  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> packets_{0};
  std::atomic<std::uint64_t> polls_{0};
  std::thread from_guest_;
  std::thread to_guest_;
};

TEST_F(ClosePort, PollersGoOnAndFindNothing) {
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  for (int i = 0; i < 2; ++i) fixture.events.until<VringStarted>();
  Pollers pollers(*fixture.port);
  transmit(machine, 3);
  while (pollers.packets() < 3) std::this_thread::yield();
  machine.sync();
  const std::string events = fixture.events.rest();
  fixture.port->close();
  EXPECT_TRUE(machine.front_end().closed_by_peer());
  EXPECT_FALSE(has_socket());
  transmit(machine, 3);
  pollers.poll_on();
  EXPECT_EQ(pollers.packets(), 3U);
  EXPECT_FALSE(fixture.port->from_guest().state().started);
  EXPECT_FALSE(fixture.port->info().connected);
  EXPECT_EQ(fixture.port->info().memory_regions, 0U);
  EXPECT_EQ(fixture.port->from_guest().stats()[VringCounter::packets], 3U);
  pollers.stop();
  fixture.port.reset();
  EXPECT_EQ(fixture.events.rest(), events) << "a port does not report that it was closed";
}

TEST_F(ClosePort, ItsPathIsFreeForAnotherPort) {
  fixture.port->close();
  fixture.port->close();
  const auto second = must(fixture.backend->open_port(fixture.options));
  fixture.port.reset();
  EXPECT_TRUE(has_socket());
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  machine.sync();
  EXPECT_TRUE(second->info().connected);
}

TEST_F(ClosePort, AWaiterWakes) {
  const auto waiter = must(Waiter::create());
  must(waiter->watch(fixture.port->from_guest()));
  auto woken = std::async(std::launch::async, [&] { return waiter->wait(patience); });
  fixture.port->close();
  EXPECT_TRUE(woken.get());
}

TEST_F(ClosePort, FromItsOwnEvent) {
  std::promise<void> closed;
  PortOptions options = fixture.options;
  options.socket_path = fixture.folder.path("second");
  const auto port = must(fixture.backend->open_port(options, [&](Port& own, const PortEvent&) {
    own.close();
    closed.set_value();
  }));
  FakeMachine machine(options.socket_path);
  closed.get_future().get();
  EXPECT_TRUE(machine.front_end().closed_by_peer());
  EXPECT_FALSE(port->info().connected);
}

TEST_F(ClosePort, AfterItsBackend) {
  fixture.backend.reset();
  fixture.port->close();
  EXPECT_FALSE(fixture.port->info().connected);
}

}  // namespace
}  // namespace vhostx::test
