// SPDX-License-Identifier: BSD-3-Clause
// A data thread polls while the front-end changes everything that it may change.
#include <array>
#include <atomic>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include <vhostx/transfer.hpp>

#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

// Bursts both ways until the end; how many packets came. By mbufs, or from ring to ring.
class DataThread {
 public:
  DataThread(Port& port, bool transferring)
      : thread_([this, &port, transferring] { transferring ? run_transfer(port) : run(port); }) {}
  ~DataThread() { stop(); }
  std::uint64_t stop() {
    ended_ = true;
    if (thread_.joinable()) thread_.join();
    return taken_;
  }

 private:
  void run(Port& port) {
    std::array<rte_mbuf*, 32> packets;
    while (!ended_) {
      const std::uint16_t count = port.from_guest().dequeue_burst(test_pool(), packets.data(), packets.size());
      taken_ += count;
      port.to_guest().enqueue_burst(packets.data(), count);
      rte_pktmbuf_free_bulk(packets.data(), count);
      port.from_guest().set_notifications(count != 0);
      static_cast<void>(port.from_guest().state());
      if (count == 0) std::this_thread::yield();
    }
  }

  void run_transfer(Port& port) {
    const auto transfer = must(Transfer::create());
    std::array<std::uint8_t, 32> which;
    std::iota(which.begin(), which.end(), std::uint8_t{0});
    while (!ended_) {
      const std::uint16_t count = transfer->begin(port.from_guest(), 32);
      taken_ += count;
      if (count != 0) {
        transfer->move(which.data(), count, port.to_guest());
        transfer->end(count);
      } else {
        std::this_thread::yield();
      }
      port.from_guest().set_notifications(count != 0);
    }
  }

  std::atomic<bool> ended_{false};
  std::uint64_t taken_ = 0;
  std::thread thread_;
};

struct Threads : ::testing::TestWithParam<bool> {
  Threads() {
    start_eal();
    test_pool();
  }
  PortFixture fixture;
};
INSTANTIATE_TEST_SUITE_P(Transferring, Threads, ::testing::Bool());

TEST_P(Threads, EverythingChangesUnderABurst) {
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  DataThread data(*fixture.port, GetParam());
  const EventFd other = must(EventFd::create());
  for (int i = 0; i < 100; ++i) {
    if (machine.ring(1).driver.free_descriptors() > 8) transmit(machine, 4);
    machine.ring(0).driver.reap();
    machine.ring(1).driver.reap();
    machine.enable(1, i % 4 != 0);
    must(machine.front_end().set_vring_fd(Request::set_vring_call, 1, i % 2 ? other.get() : -1));
    must(
        machine.front_end().set_vring_fd(Request::set_vring_kick, 1, i % 3 ? other.get() : machine.ring(1).kick.get()));
    machine.send_memory();
    static_cast<void>(fixture.port->info());
    static_cast<void>(fixture.port->vring(1).stats());
    fixture.port->look_at_placement();
    static_cast<void>(fixture.port->vring(1).placement());
    if (i % 10 != 9) continue;
    const auto base = must(machine.front_end().get_vring_base(1));
    machine.configure_ring(1, static_cast<std::uint16_t>(base));
    machine.send_fds(1);
    machine.kick(1);
  }
  machine.enable(1);
  transmit(machine);
  while (machine.ring(1).driver.used_index() != machine.ring(1).driver.avail_index()) std::this_thread::yield();
  EXPECT_GT(data.stop(), 0u);
}

TEST_P(Threads, FrontEndsComeAndGoUnderABurst) {
  DataThread data(*fixture.port, GetParam());
  for (int i = 0; i < 30; ++i) {
    FakeMachine machine(fixture.options.socket_path);
    machine.bring_up();
    transmit(machine, 8);
    while (machine.ring(1).driver.used_index() != 8) std::this_thread::yield();
  }
  EXPECT_EQ(data.stop(), 30u * 8);
}

TEST_P(Threads, PortsOpenAndCloseFromSeveralThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([this, t] {
      PortOptions options;
      options.socket_path = fixture.folder.path("port" + std::to_string(t));
      for (int i = 0; i < 10; ++i) {
        const auto port = must(fixture.backend->open_port(options));
        FakeMachine machine(options.socket_path);
        machine.bring_up();
      }
    });
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace vhostx::test
