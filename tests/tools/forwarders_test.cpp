// SPDX-License-Identifier: BSD-3-Clause
// Where frames go in each mode, on ports without guests.
#include "tools/switch/forwarders.hpp"

#include <array>
#include <cstring>

#include <gtest/gtest.h>

#include "tests/support/eal.hpp"
#include "tests/tools/fake_device.hpp"
#include "tools/switch/packet_template.hpp"

namespace vhostx::tools {
namespace {

constexpr std::uint8_t everybody = 0xff;

/// Ports with some queue pairs each; every pair's far end is a FakeDevice.
class ForwardersTest : public testing::Test {
 protected:
  void SetUp() override { in_use_before_ = rte_mempool_in_use_count(pool_); }
  void TearDown() override {
    for (auto& port : fabric_.ports) port->tx.clear();
    EXPECT_EQ(rte_mempool_in_use_count(pool_), in_use_before_);
  }

  void make(std::uint16_t ports, std::uint16_t pairs = 1) {
    fabric_.macs = std::make_unique<MacTable>(ports, 0x1234567u);
    pairs_ = pairs;
    drops_ = std::vector<WorkerDrops>(ports);
    for (std::uint16_t id = 0; id < ports; ++id) {
      fabric_.ports.push_back(std::make_unique<SwitchPort>());
      auto& port = *fabric_.ports.back();
      port.id = id;
      port.budget.limit = 1000;
      std::vector<std::uint8_t> ready;
      for (std::uint16_t pair = 0; pair < pairs; ++pair) {
        ready.push_back(static_cast<std::uint8_t>(pair));
        add_pair(port, pair);
      }
      port.ready.publish(ready);
    }
  }
  void add_pair(SwitchPort& port, std::uint16_t pair) {
    devices_.push_back(std::make_unique<test::FakeDevice>());
    port.tx.push_back(std::make_unique<TxQueue>(
        TxQueueOptions{Sink{nullptr, devices_.back().get()}, &port.budget, &owner_, 64, fabric_.tx_queues++, false}));
    fabric_.lanes.push_back(std::make_unique<RxLane>());
    auto& lane = *fabric_.lanes.back();
    lane.port = port.id;
    lane.pair = pair;
    lane.device = devices_.back().get();
    lane.tx = port.tx.back().get();
  }

  test::FakeDevice& device(std::uint16_t port, std::uint16_t pair = 0) {
    return *devices_[std::size_t{port} * pairs_ + pair];
  }
  RxLane& lane(std::uint16_t port, std::uint16_t pair = 0) { return *fabric_.lanes[std::size_t{port} * pairs_ + pair]; }

  static std::vector<std::byte> frame(std::uint8_t from, std::uint8_t to, std::uint16_t flow = 0) {
    auto bytes = udp_frame(60, flow);
    std::memset(bytes.data(), to == everybody ? 0xff : 0x02, 6);
    bytes[5] = std::byte{to};
    std::memset(bytes.data() + 6, 0x02, 6);
    bytes[11] = std::byte{from};
    return bytes;
  }
  void arrive(std::uint16_t port, const std::vector<std::byte>& bytes, std::uint16_t pair = 0) {
    device(port, pair).incoming.push_back(mbuf_from_bytes(pool_, bytes));
  }
  std::vector<std::size_t> delivered() const {
    std::vector<std::size_t> counts;
    for (const auto& device : devices_) counts.push_back(device->delivered.size());
    return counts;
  }
  /// Of frames that come from it.
  static std::uint64_t address(std::uint8_t station) { return source_of(frame(station, everybody).data()); }
  using Counts = std::vector<std::size_t>;

  rte_mempool* const pool_ = test::test_pool();
  unsigned in_use_before_ = 0;
  std::uint16_t pairs_ = 1;
  BacklogOwner owner_{nullptr};
  std::vector<std::unique_ptr<test::FakeDevice>> devices_;
  std::vector<WorkerDrops> drops_;
  Fabric fabric_;
};

TEST_F(ForwardersTest, UnknownStationsAreFloodedButNotBack) {
  make(4);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  arrive(1, frame(10, 20));
  EXPECT_EQ(forward(lane(1)), 1u);
  EXPECT_EQ(delivered(), (Counts{1, 0, 1, 1}));
  EXPECT_EQ(device(0).delivered[0], frame(10, 20));
  EXPECT_EQ(forward(lane(1)), 0u);
}

TEST_F(ForwardersTest, KnownStationsAreReachedAlone) {
  make(4);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  arrive(2, frame(20, everybody));
  forward(lane(2));
  EXPECT_EQ(delivered(), (Counts{1, 1, 0, 1}));
  arrive(1, frame(10, 20));
  forward(lane(1));
  EXPECT_EQ(delivered(), (Counts{1, 1, 1, 1}));
  arrive(2, frame(20, 10));
  forward(lane(2));
  EXPECT_EQ(delivered(), (Counts{1, 2, 1, 1}));
}

TEST_F(ForwardersTest, ABoundPortSendsWithItsOwnAddressesAlone) {
  make(3);
  fabric_.rules.bind(1, address(10));
  fabric_.rules.bind(1, address(11));
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  for (const auto station : std::initializer_list<std::uint8_t>{10, 99, 99, 11, 0, 10})
    arrive(1, frame(station, everybody));
  EXPECT_EQ(forward(lane(1)), 6u);
  EXPECT_EQ(delivered(), (Counts{3, 0, 3}));
  EXPECT_EQ(drops_[1].foreign_source.value(), 3u);
  EXPECT_EQ(fabric_.macs->lookup(address(99)), MacTable::no_port);
  EXPECT_EQ(fabric_.macs->lookup(address(10)), 1u);
}

TEST_F(ForwardersTest, AnAddressThatIsBoundIsNoOtherPorts) {
  make(3);
  fabric_.rules.bind(1, address(10));
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  arrive(1, frame(10, everybody));
  forward(lane(1));
  arrive(2, frame(10, everybody));  // as a RARP that claims it
  arrive(2, frame(20, 10));
  EXPECT_EQ(forward(lane(2)), 2u);
  EXPECT_EQ(drops_[2].foreign_source.value(), 1u);
  EXPECT_EQ(fabric_.macs->lookup(address(10)), 1u);
  EXPECT_EQ(delivered(), (Counts{1, 1, 1}));
}

TEST_F(ForwardersTest, AFrameFromNoAddressIsForeignToABoundPort) {
  make(2);
  fabric_.rules.bind(1, address(10));
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  auto bytes = frame(10, everybody);
  std::memset(bytes.data() + 6, 0, 6);
  arrive(1, bytes);
  forward(lane(1));
  EXPECT_EQ(drops_[1].foreign_source.value(), 1u);
  EXPECT_EQ(delivered(), (Counts{0, 0}));
}

TEST_F(ForwardersTest, ABurstIsOneCallForEachDestination) {
  make(3);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  fabric_.macs->learn(source_of(frame(1, 0).data()), 1);
  fabric_.macs->learn(source_of(frame(2, 0).data()), 2);
  for (std::uint16_t i = 0; i < burst_max; ++i) arrive(0, frame(9, static_cast<std::uint8_t>(1 + i % 2), i));
  EXPECT_EQ(forward(lane(0)), burst_max);
  EXPECT_EQ(delivered(), (Counts{0, 16, 16}));
  EXPECT_EQ(device(1).calls, 1u);
  for (std::uint16_t i = 0; i < 16; ++i)
    EXPECT_EQ(device(1).delivered[i], frame(9, 1, static_cast<std::uint16_t>(2 * i)));
}

TEST_F(ForwardersTest, RunsOfOneFlowKeepTheirOrderAmongOthers) {
  make(3);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  fabric_.macs->learn(source_of(frame(1, 0).data()), 1);
  fabric_.macs->learn(source_of(frame(2, 0).data()), 2);
  const std::vector<std::uint8_t> destinations{1, 1, 1, everybody, 1, 1, 2, 2, 2, 1, everybody, everybody, 1};
  std::array<std::vector<std::vector<std::byte>>, 2> expected;
  for (std::uint16_t i = 0; i < destinations.size(); ++i) {
    const std::uint8_t to = destinations[i];
    const auto source = static_cast<std::uint8_t>(i == 5 ? 8 : 9);  // another station in the middle of a run
    arrive(0, frame(source, to, i));
    for (std::uint8_t port = 1; port <= 2; ++port)
      if (to == port || to == everybody) expected[port - 1].push_back(frame(source, to, i));
  }
  EXPECT_EQ(forward(lane(0)), destinations.size());
  EXPECT_EQ(device(1).delivered, expected[0]);
  EXPECT_EQ(device(2).delivered, expected[1]);
  EXPECT_EQ(device(1).calls, 1u);
}

TEST_F(ForwardersTest, BroadcastBurstsReachAllInOrder) {
  make(3);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  for (std::uint16_t i = 0; i < burst_max; ++i) arrive(0, frame(9, everybody, i));
  forward(lane(0));
  EXPECT_EQ(delivered(), (Counts{0, 32, 32}));
  EXPECT_EQ(device(2).delivered[31], frame(9, everybody, 31));
}

TEST_F(ForwardersTest, AStationThatMovedIsFollowedWithinABurst) {
  make(3);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  arrive(0, frame(9, everybody));
  forward(lane(0));
  arrive(1, frame(9, everybody));
  forward(lane(1));
  arrive(2, frame(3, 9));
  forward(lane(2));
  EXPECT_EQ(delivered(), (Counts{1, 2, 2}));
}

TEST_F(ForwardersTest, FramesForTheirOwnPortAreDropped) {
  make(2);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  arrive(0, frame(1, everybody));
  arrive(0, frame(2, 1));
  forward(lane(0));
  EXPECT_EQ(delivered(), (Counts{0, 1}));
  EXPECT_EQ(drops_[0].same_port.value(), 1u);
}

TEST_F(ForwardersTest, ADestinationWithoutAGuestIsCounted) {
  make(3);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  fabric_.macs->learn(source_of(frame(1, 0).data()), 1);
  fabric_.ports[1]->ready.publish({});
  arrive(0, frame(9, 1));
  arrive(0, frame(9, everybody));
  forward(lane(0));
  EXPECT_EQ(delivered(), (Counts{0, 0, 1}));
  EXPECT_EQ(drops_[1].not_ready.value(), 1u);
  EXPECT_EQ(drops_[1].flood_not_ready.value(), 1u);  // the broadcast was not meant for it alone
  EXPECT_EQ(drops_[2].flood_not_ready.value(), 0u);
}

TEST_F(ForwardersTest, FramesWithoutAHeaderAreDropped) {
  make(2);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  arrive(0, std::vector<std::byte>(13));
  forward(lane(0));
  EXPECT_EQ(delivered(), (Counts{0, 0}));
  EXPECT_EQ(drops_[0].malformed.value(), 1u);
}

TEST_F(ForwardersTest, FlowsAreSpreadOverTheQueuesInUse) {
  make(2, 4);
  LearningForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  fabric_.macs->learn(source_of(frame(1, 0).data()), 1);
  fabric_.ports[1]->ready.publish({0, 2, 3});
  for (std::uint16_t flow = 0; flow < 300; ++flow) {
    arrive(0, frame(9, 1, flow));
    forward(lane(0));
  }
  EXPECT_EQ(device(1, 1).delivered.size(), 0u);
  for (const std::uint16_t pair : {std::uint16_t{0}, std::uint16_t{2}, std::uint16_t{3}})
    EXPECT_GT(device(1, pair).delivered.size(), 50u);
}

TEST_F(ForwardersTest, IoPairsPortsTwoByTwo) {
  make(5, 2);
  PairForwarder<false, MbufBurst> forward(fabric_, drops_, pool_);
  for (std::uint16_t port = 0; port < 5; ++port)
    for (std::uint16_t pair = 0; pair < 2; ++pair)
      arrive(port, frame(1, 2, static_cast<std::uint16_t>(port * 2 + pair)), pair);
  for (auto& each : fabric_.lanes) EXPECT_EQ(forward(*each), 1u);
  for (std::uint16_t port = 0; port < 5; ++port)
    for (std::uint16_t pair = 0; pair < 2; ++pair) {
      const auto from = port == 4 ? 4 : port ^ 1;
      ASSERT_EQ(device(port, pair).delivered.size(), 1u);
      EXPECT_EQ(device(port, pair).delivered[0], frame(1, 2, static_cast<std::uint16_t>(from * 2 + pair)));
    }
}

TEST_F(ForwardersTest, IoUsesTheQueuesThatTheOtherGuestHas) {
  make(2, 2);
  fabric_.ports[1]->ready.publish({0});
  PairForwarder<false, MbufBurst> forward(fabric_, drops_, pool_);
  arrive(0, frame(1, 2), 1);
  forward(lane(0, 1));
  EXPECT_EQ(delivered(), (Counts{0, 0, 1, 0}));
  fabric_.ports[1]->ready.publish({});
  arrive(0, frame(1, 2), 1);
  forward(lane(0, 1));
  EXPECT_EQ(drops_[1].not_ready.value(), 1u);
}

TEST_F(ForwardersTest, LoopSendsEachPortItsOwn) {
  make(2);
  fabric_.topology = Topology::loop;
  PairForwarder<false, MbufBurst> forward(fabric_, drops_, pool_);
  arrive(0, frame(1, 2));
  forward(lane(0));
  EXPECT_EQ(delivered(), (Counts{1, 0}));
}

TEST_F(ForwardersTest, MacSwapsAddressesAndNothingElse) {
  make(2);
  PairForwarder<true, MbufBurst> forward(fabric_, drops_, pool_);
  arrive(0, frame(1, 2, 3));
  arrive(0, std::vector<std::byte>(13, std::byte{7}));  // too short to have both
  forward(lane(0));
  ASSERT_EQ(delivered(), (Counts{0, 2}));
  EXPECT_EQ(device(1).delivered[0], frame(2, 1, 3));
  EXPECT_EQ(device(1).delivered[1], std::vector<std::byte>(13, std::byte{7}));
}

TEST_F(ForwardersTest, RxonlyKeepsNothing) {
  make(1);
  DiscardForwarder<MbufBurst> forward(fabric_, drops_, pool_);
  for (int i = 0; i < 40; ++i) arrive(0, frame(1, 2));
  EXPECT_EQ(forward(lane(0)), burst_max);
  EXPECT_EQ(forward(lane(0)), 8u);
  EXPECT_EQ(delivered(), (Counts{0}));
}

TEST_F(ForwardersTest, TxonlySendsAsMuchAsIsTaken) {
  make(1);
  const auto packets = udp_burst(pool_, 100);
  GeneratingForwarder forward(packets);
  device(0).room = 40;
  EXPECT_EQ(forward(lane(0)), 32u);
  EXPECT_EQ(forward(lane(0)), 8u);
  EXPECT_EQ(forward(lane(0)), 0u);
  EXPECT_EQ(device(0).delivered[33], udp_frame(100, 1));
  release_burst(packets.data(), burst_max);
}

}  // namespace
}  // namespace vhostx::tools
