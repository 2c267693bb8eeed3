// SPDX-License-Identifier: BSD-3-Clause
// Forwarders between guests whose packets stay where they are: on real ports, each with a driver behind it.
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/backend/port_fixture.hpp"
#include "tests/support/eal.hpp"
#include "tests/tools/fake_device.hpp"
#include "tools/switch/forwarders.hpp"
#include "tools/switch/packet_template.hpp"

namespace vhostx::tools {
namespace {

using test::FakeDevice;
using Frame = std::vector<std::byte>;
using Frames = std::vector<Frame>;

constexpr std::uint8_t everybody = 0xff;

/// A port of the switch: of a guest, or (the last of them) a device that takes mbufs alone.
struct Station {
  std::unique_ptr<test::PortFixture> fixture;
  std::unique_ptr<test::FakeMachine> machine;
  std::unique_ptr<FakeDevice> device;
};

std::uint64_t now_ms;
std::uint64_t now() noexcept { return now_ms; }

class TransferForwarders : public testing::Test {
 protected:
  void SetUp() override { now_ms = 1000; }
  void TearDown() override {
    for (auto& port : fabric_.ports) port->tx.clear();
    stations_.clear();
    EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u);
  }

  /// `guests` ports with zero copy, and one device behind them. `shy`: the guest that asks for zerocopy=off.
  void make(std::uint16_t guests, std::uint16_t shy = 0xffff) {
    fabric_.macs = std::make_unique<MacTable>(guests + 1u, 0x1234567u);
    drops_ = std::vector<WorkerDrops>(guests + 1u);
    for (std::uint16_t id = 0; id < guests; ++id) add_guest(id, id != shy);
    add(guests, {nullptr, nullptr, std::make_unique<FakeDevice>()}, false);
  }
  void add_guest(std::uint16_t id, bool zero_copy) {
    Station station{std::make_unique<test::PortFixture>(), nullptr, nullptr};
    station.machine = std::make_unique<test::FakeMachine>(station.fixture->options.socket_path);
    station.machine->bring_up();
    for (int i = 0; i < 2; ++i) station.fixture->events.until<VringStarted>();
    add(id, std::move(station), zero_copy);
  }
  void add(std::uint16_t id, Station station, bool zero_copy) {
    auto port = std::make_unique<SwitchPort>();
    port->id = id;
    port->budget.limit = 1000;
    Vring* const to_guest = station.fixture ? &station.fixture->port->to_guest() : nullptr;
    port->tx.push_back(
        std::make_unique<TxQueue>(TxQueueOptions{Sink{to_guest, station.device.get()}, &port->budget, &owner_, 64,
                                                 fabric_.tx_queues++, false, zero_copy, Patience{}, now}));
    port->ready.publish({0});
    auto lane = std::make_unique<RxLane>();
    lane->port = id;
    lane->vring = station.fixture ? &station.fixture->port->from_guest() : nullptr;
    lane->device = station.device.get();
    lane->transfers = zero_copy;
    lane->tx = port->tx.back().get();
    fabric_.ports.push_back(std::move(port));
    fabric_.lanes.push_back(std::move(lane));
    stations_.push_back(std::move(station));
  }

  static Frame frame(std::uint8_t from, std::uint8_t to, std::uint16_t flow = 0, std::uint16_t length = 60) {
    auto bytes = udp_frame(length, flow);
    std::memset(bytes.data(), to == everybody ? 0xff : 0x02, 6);
    bytes[5] = std::byte{to};
    std::memset(bytes.data() + 6, 0x02, 6);
    bytes[11] = std::byte{from};
    return bytes;
  }
  void send(std::uint16_t port, const Frame& bytes) {
    std::vector<std::uint8_t> whole(12 + bytes.size());
    std::memcpy(whole.data() + 12, bytes.data(), bytes.size());
    stations_[port].machine->ring(1).driver.chain().readable(whole).publish();
  }
  void post(std::uint16_t port, int chains) {
    for (int i = 0; i < chains; ++i) stations_[port].machine->ring(0).driver.chain().writable(2000).publish();
  }
  Frames received(std::uint16_t port) {
    if (stations_[port].device) return std::exchange(stations_[port].device->delivered, {});
    Frames frames;
    auto& driver = stations_[port].machine->ring(0).driver;
    for (const auto& used : driver.reap()) {
      const auto bytes = driver.bytes_of(used);
      const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
      frames.emplace_back(begin + 12, begin + bytes.size());
    }
    return frames;
  }
  VringStats to_guest(std::uint16_t port) { return stations_[port].fixture->port->to_guest().stats(); }
  std::size_t given_back(std::uint16_t port) { return stations_[port].machine->ring(1).driver.reap().size(); }
  void learn(std::uint8_t station, std::uint16_t port) {
    fabric_.macs->learn(source_of(frame(station, 0).data()), port);
  }
  RxLane& lane(std::uint16_t port) { return *fabric_.lanes[port]; }
  TxQueue& queue(std::uint16_t port) { return *fabric_.ports[port]->tx[0]; }

  rte_mempool* const pool_ = test::test_pool();
  BacklogOwner owner_{nullptr};
  std::vector<Station> stations_;
  std::vector<WorkerDrops> drops_;
  std::unique_ptr<Transfer> transfer_ = test::must(Transfer::create());
  Fabric fabric_;
};

using Learning = EitherForwarder<LearningForwarder<TransferBurst>, LearningForwarder<MbufBurst>>;
template <bool swap>
using Pair = EitherForwarder<PairForwarder<swap, TransferBurst>, PairForwarder<swap, MbufBurst>>;

TEST_F(TransferForwarders, KnownStationsAreReachedWithoutMbufs) {
  make(3);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  learn(2, 2);
  post(1, 32);
  post(2, 32);
  std::array<Frames, 2> sent;
  for (std::uint16_t i = 0; i < 20; ++i) {
    const auto to = static_cast<std::uint8_t>(1 + i / 3 % 2);
    sent[to - 1u].push_back(frame(9, to, i, static_cast<std::uint16_t>(60 + 70 * i)));
    send(0, sent[to - 1u].back());
  }
  EXPECT_EQ(forward(lane(0)), 20u);
  EXPECT_EQ(received(1), sent[0]);
  EXPECT_EQ(received(2), sent[1]);
  EXPECT_EQ(to_guest(1)[VringCounter::moved], sent[0].size());
  EXPECT_EQ(to_guest(1)[VringCounter::bursts], 1u);  // a burst is one call for each destination
  EXPECT_EQ(given_back(0), 20u);
  EXPECT_EQ(fabric_.macs->lookup(source_of(frame(9, 0).data())), 0u);
}

TEST_F(TransferForwarders, FloodsGoEverywhereButBackAndKeepTheirPlace) {
  make(3);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  learn(2, 2);
  post(0, 32);
  post(1, 32);
  post(2, 32);
  const std::vector<std::uint8_t> destinations{1, 1, everybody, 1, 2, 77, 2, 1, everybody, everybody, 1};
  std::array<Frames, 3> expected;  // of ports 1, 2 and the device
  for (std::uint16_t i = 0; i < destinations.size(); ++i) {
    const std::uint8_t to = destinations[i];
    send(0, frame(9, to, i));
    for (std::uint8_t port = 1; port <= 3; ++port)
      if (to == port || to == everybody || to == 77) expected[port - 1u].push_back(frame(9, to, i));
  }
  EXPECT_EQ(forward(lane(0)), destinations.size());
  for (std::uint16_t port = 1; port <= 3; ++port) EXPECT_EQ(received(port), expected[port - 1u]) << port;
  EXPECT_TRUE(received(0).empty());
}

TEST_F(TransferForwarders, ADeviceAndAPortWithoutZeroCopyGetCopies) {
  make(3, 2);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(2, 2);
  learn(3, 3);
  learn(9, 0);
  post(0, 8);
  post(2, 8);
  send(0, frame(9, 2, 1, 1000));
  send(0, frame(9, 3, 2, 1001));
  send(0, frame(9, 2, 3, 1002));
  EXPECT_EQ(forward(lane(0)), 3u);
  EXPECT_EQ(received(2), (Frames{frame(9, 2, 1, 1000), frame(9, 2, 3, 1002)}));
  EXPECT_EQ(received(3), (Frames{frame(9, 3, 2, 1001)}));
  EXPECT_EQ(to_guest(2)[VringCounter::moved], 0u);
  send(2, frame(2, 9, 4));  // and back, by mbufs
  EXPECT_EQ(forward(lane(2)), 1u);
  EXPECT_EQ(received(0), (Frames{frame(2, 9, 4)}));
  EXPECT_EQ(to_guest(0)[VringCounter::moved], 0u);
}

TEST_F(TransferForwarders, AFullGuestGetsTheRestFromItsBacklogInOrder) {
  make(2);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  Frames sent;
  const auto send_some = [&](int count) {
    for (int i = 0; i < count; ++i) {
      sent.push_back(frame(9, 1, static_cast<std::uint16_t>(sent.size()), 700));
      send(0, sent.back());
    }
  };
  send_some(10);
  post(1, 4);
  forward(lane(0));
  EXPECT_EQ(given_back(0), 10u);  // the sender is not held up
  EXPECT_TRUE(queue(1).has_backlog());
  post(1, 3);
  send_some(2);
  forward(lane(0));
  post(1, 20);
  queue(1).flush();
  EXPECT_FALSE(queue(1).has_backlog());
  send_some(1);
  forward(lane(0));
  EXPECT_EQ(received(1), sent);
  EXPECT_EQ(queue(1).dropped_ring_full(), 0u);
  EXPECT_EQ(to_guest(1)[VringCounter::moved], 5u);
}

TEST_F(TransferForwarders, NothingOvertakesABacklog) {
  make(2);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  send(0, frame(9, 1, 0, 3000));
  forward(lane(0));
  post(1, 1);  // too little for the large one, enough for a small one
  send(0, frame(9, 1, 1));
  forward(lane(0));
  EXPECT_TRUE(received(1).empty());
  post(1, 2);
  queue(1).flush();
  EXPECT_EQ(to_guest(1)[VringCounter::packets], 2u);
  EXPECT_EQ(to_guest(1)[VringCounter::moved], 0u);
}

TEST_F(TransferForwarders, APacketThatTheBuffersAreTooFewForIsGivenUpInTime) {
  make(2);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  post(1, 1);
  send(0, frame(9, 1, 0, 3000));
  send(0, frame(9, 1, 1));
  forward(lane(0));
  queue(1).flush();
  now_ms = 1099;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(queue(1).flush(), 0u);  // tries enough, time is left
  now_ms = 1100;
  EXPECT_EQ(queue(1).flush(), 2u);
  EXPECT_EQ(queue(1).dropped_few_buffers(), 1u);
  EXPECT_EQ(received(1), (Frames{frame(9, 1, 1)}));
  post(1, 1);
  send(0, frame(9, 1, 2, 3000));  // for a second nobody waits for such a one
  send(0, frame(9, 1, 3));
  forward(lane(0));
  EXPECT_EQ(queue(1).flush(), 0u);  // the buffer might have come just now
  EXPECT_EQ(queue(1).flush(), 2u);
  EXPECT_EQ(queue(1).dropped_few_buffers(), 2u);
  EXPECT_EQ(received(1), (Frames{frame(9, 1, 3)}));
}

TEST_F(TransferForwarders, TimeAloneGivesNoPacketUp) {
  make(2);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  send(0, frame(9, 1, 0, 3000));
  forward(lane(0));
  now_ms = 5000;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(queue(1).flush(), 0u);  // no buffers at all: the guest is slow, that is all
  post(1, 1);
  EXPECT_EQ(queue(1).flush(), 0u);
  now_ms = 9000;  // the worker got no CPU
  EXPECT_EQ(queue(1).flush(), 0u);
  post(1, 2);
  EXPECT_EQ(queue(1).flush(), 1u);
  EXPECT_EQ(queue(1).dropped_few_buffers(), 0u);
}

TEST_F(TransferForwarders, CopiesOfOneBurstAreNoneOfTheNext) {
  make(2);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  post(1, 8);
  for (std::uint16_t round = 0; round < 3; ++round) {
    send(0, frame(9, round == 1 ? 1 : everybody, 0));
    send(0, frame(9, round == 1 ? everybody : 1, 1));
    EXPECT_EQ(forward(lane(0)), 2u);
    EXPECT_EQ(received(1), (Frames{frame(9, round == 1 ? 1 : everybody, 0), frame(9, round == 1 ? everybody : 1, 1)}));
  }
}

TEST_F(TransferForwarders, WhatABacklogCannotHoldIsDroppedAndCounted) {
  make(2);
  fabric_.ports[1]->budget.limit = 3;
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  for (std::uint16_t i = 0; i < 8; ++i) send(0, frame(9, 1, i));
  EXPECT_EQ(forward(lane(0)), 8u);
  EXPECT_EQ(queue(1).dropped_ring_full(), 5u);
  post(1, 8);
  queue(1).flush();
  EXPECT_EQ(received(1).size(), 3u);
}

TEST_F(TransferForwarders, AnEmptyPoolLosesNoFloods) {
  make(2);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  post(1, 8);
  std::vector<rte_mbuf*> held;
  while (rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_)) held.push_back(mbuf);
  send(0, frame(9, 1, 0));
  send(0, frame(9, everybody, 1));
  send(0, frame(9, 1, 2));
  EXPECT_EQ(forward(lane(0)), 1u);
  EXPECT_EQ(forward(lane(0)), 0u);
  for (auto* mbuf : held) rte_pktmbuf_free(mbuf);
  EXPECT_EQ(forward(lane(0)), 2u);
  EXPECT_EQ(received(1), (Frames{frame(9, 1, 0), frame(9, everybody, 1), frame(9, 1, 2)}));
}

TEST_F(TransferForwarders, OwnPortsAndAbsentGuestsAreCounted) {
  make(2);
  Learning forward(fabric_, drops_, pool_, *transfer_);
  learn(1, 1);
  learn(5, 0);
  fabric_.ports[1]->ready.publish({});
  send(0, frame(9, 5));
  send(0, frame(9, 1));
  EXPECT_EQ(forward(lane(0)), 2u);
  EXPECT_EQ(drops_[0].same_port.value(), 1u);
  EXPECT_EQ(drops_[1].not_ready.value(), 1u);
  EXPECT_EQ(given_back(0), 2u);
}

TEST_F(TransferForwarders, IoAndMacMoveWholeBursts) {
  make(2);
  post(1, 32);
  Pair<false> io(fabric_, drops_, pool_, *transfer_);
  for (std::uint16_t i = 0; i < 5; ++i) send(0, frame(1, 2, i, 500));
  EXPECT_EQ(io(lane(0)), 5u);
  auto got = received(1);
  ASSERT_EQ(got.size(), 5u);
  EXPECT_EQ(got[4], frame(1, 2, 4, 500));
  Pair<true> mac(fabric_, drops_, pool_, *transfer_);
  for (std::uint16_t i = 0; i < 5; ++i) send(0, frame(1, 2, i, 500));
  EXPECT_EQ(mac(lane(0)), 5u);
  got = received(1);
  ASSERT_EQ(got.size(), 5u);
  EXPECT_EQ(got[4], frame(2, 1, 4, 500));
  EXPECT_EQ(to_guest(1)[VringCounter::moved], 10u);
}

TEST_F(TransferForwarders, IoToAPortWithoutZeroCopyAndOnItself) {
  make(2, 1);
  post(1, 32);
  Pair<false> io(fabric_, drops_, pool_, *transfer_);
  send(0, frame(1, 2, 7, 500));
  EXPECT_EQ(io(lane(0)), 1u);
  EXPECT_EQ(received(1), (Frames{frame(1, 2, 7, 500)}));
  fabric_.topology = Topology::loop;
  post(0, 32);
  send(0, frame(1, 2, 8, 500));
  EXPECT_EQ(io(lane(0)), 1u);
  EXPECT_EQ(received(0), (Frames{frame(1, 2, 8, 500)}));
}

TEST_F(TransferForwarders, RxonlyGivesBack) {
  make(1);
  EitherForwarder<DiscardForwarder<TransferBurst>, DiscardForwarder<MbufBurst>> forward(fabric_, drops_, pool_,
                                                                                        *transfer_);
  for (int i = 0; i < 40; ++i) send(0, frame(1, 2));
  EXPECT_EQ(forward(lane(0)), burst_max);
  EXPECT_EQ(forward(lane(0)), 8u);
  EXPECT_EQ(given_back(0), 40u);
}

}  // namespace
}  // namespace vhostx::tools
