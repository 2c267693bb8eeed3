// SPDX-License-Identifier: BSD-3-Clause
// A data thread polls while the front-end changes everything that it may change.
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include <vhostx/transfer.hpp>

#include "protocol/codec.hpp"
#include "protocol/request_table.hpp"
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
    machine.configure_ring(1, base);
    machine.send_fds(1);
    machine.kick(1);
  }
  machine.enable(1);
  transmit(machine);
  while (!machine.ring(1).driver.has_back_up_to(machine.ring(1).driver.base())) std::this_thread::yield();
  EXPECT_GT(data.stop(), 0u);
}

// A wish for notifications holds that is said once, while the ring starts. What this is too slow to meet is for
// vring_start_order.pml.
TEST(ThreadsThatSleep, AWishIsKeptWhileTheRingStarts) {
  start_eal();
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  machine.send_memory();
  for (int i = 0; i < 300; ++i) {
    machine.configure_ring(1);
    machine.send_fds(1);
    const bool wish = i % 3 == 0;
    std::thread data([&fixture, wish, i] {
      for (int turn = 0; turn < i * 20; ++turn) std::atomic_signal_fence(std::memory_order_seq_cst);
      fixture.port->from_guest().set_notifications(wish);
    });
    machine.kick(1);
    fixture.events.until<VringStarted>();
    data.join();
    ASSERT_EQ(machine.ring(1).driver.device_wants_kicks(), wish) << "restart " << i;
    must(machine.front_end().get_vring_base(1));
  }
}

// Any message, legal or not, with any ring, numbers and descriptors. What the back-end says, or that it hangs up, is
// not looked at: that is for other tests.
class RandomPeer {
 public:
  RandomPeer(FakeMachine& machine, std::mt19937& random) : machine_(machine), random_(random) {}

  /// False: the back-end has hung up.
  bool speak() {
    const auto request = below(44);
    auto message = std::vector<std::byte>(message_header_bytes + size_for(request));
    fill(message);
    const Header header{request, 1u | (below(4) != 0 ? 8u : 0u),
                        static_cast<std::uint32_t>(message.size() - message_header_bytes)};
    std::memcpy(message.data(), &header, sizeof header);
    return machine_.front_end().send_bytes(message, some_descriptors()).ok() && !machine_.front_end().peer_is_gone();
  }

  /// What a driver does meanwhile.
  void drive() {
    if (machine_.ring(1).driver.free_descriptors() > 4) transmit(machine_, 2);
    if (machine_.ring(0).driver.free_descriptors() > 4) machine_.ring(0).driver.chain().writable(2048).publish();
    for (std::uint16_t i = 0; i < 2; ++i) machine_.kick(i);
  }

 private:
  std::uint32_t below(std::uint32_t end) { return word() % end; }
  std::uint32_t word() { return static_cast<std::uint32_t>(random_()); }
  std::size_t size_for(std::uint32_t request) {
    const auto* row = find_front_end_row(request);
    return row == nullptr || below(8) == 0 ? below(48) : row->payload.min;
  }
  // Mostly small numbers: they are rings, sizes and flags.
  void fill(std::vector<std::byte>& message) {
    for (std::size_t i = message_header_bytes; i + 4 <= message.size(); i += 4) {
      const std::uint32_t number = below(4) != 0 ? below(3) : word();
      std::memcpy(message.data() + i, &number, sizeof number);
    }
  }
  FdList some_descriptors() {
    FdList fds;
    if (below(2) == 0) fds.add(duplicate(machine_.ring(static_cast<std::uint16_t>(below(2))).kick.get()));
    if (below(8) == 0) fds.add(machine_.guest().file(0));
    return fds;
  }

  FakeMachine& machine_;
  std::mt19937& random_;
};

// Two data threads, one a direction, and front-ends that say anything. VHOSTX_SEED repeats a run.
TEST(RandomMessages, UnderTwoDataThreads) {
  const char* const given = std::getenv("VHOSTX_SEED");
  const auto seed =
      given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  SCOPED_TRACE("VHOSTX_SEED=" + std::to_string(seed));
  std::printf("VHOSTX_SEED=%u\n", seed);
  start_eal();
  std::mt19937 random(seed);
  PortFixture fixture([](PortOptions& options) { options.loan_timeout = std::chrono::milliseconds(1); });
  std::atomic<bool> ended{false};
  rte_mbuf* const packet = rte_pktmbuf_alloc(test_pool());
  ASSERT_NE(rte_pktmbuf_append(packet, 60), nullptr);
  std::thread taking([&] {
    while (!ended)
      if (take_burst(fixture.port->from_guest()) == 0) std::this_thread::yield();
  });
  std::thread giving([&] {
    while (!ended)
      if (fixture.port->to_guest().enqueue_burst(&packet, 1) == 0) std::this_thread::yield();
  });
  for (int connection = 0; connection < 60; ++connection) {
    FakeMachine machine(fixture.options.socket_path);
    RandomPeer peer(machine, random);
    try {
      if (connection % 4 != 0) machine.bring_up();
      for (int message = 0; message < 50 && peer.speak(); ++message) peer.drive();
    } catch (const std::runtime_error&) {  // turned away: the one before has not been seen leaving yet
    }
  }
  ended = true;
  taking.join();
  giving.join();
  rte_pktmbuf_free(packet);
  FakeMachine(fixture.options.socket_path).bring_up();  // and the next one is served
}

TEST_P(Threads, FrontEndsComeAndGoUnderABurst) {
  DataThread data(*fixture.port, GetParam());
  for (int i = 0; i < 30; ++i) {
    FakeMachine machine(fixture.options.socket_path);
    machine.bring_up();
    transmit(machine, 8);
    while (machine.ring(1).driver.used_count() != 8) std::this_thread::yield();
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
