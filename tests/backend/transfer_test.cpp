// SPDX-License-Identifier: BSD-3-Clause
// Transfer between ports: ring states on both sides, the gates, announcements, calls and counters.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include <vhostx/transfer.hpp>

#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

/// A port with a guest on it.
struct Station {
  PortFixture fixture;
  FakeMachine machine;

  Station() : machine(fixture.options.socket_path, 2, regions()) {}
  static std::vector<FakeGuest::Region> regions() {
    std::vector<FakeGuest::Region> all;
    all.push_back({0x4000'0000, std::size_t{8} << 20});
    return all;
  }

  void bring_up() {
    machine.bring_up();
    for (int i = 0; i < 2; ++i) fixture.events.until<VringStarted>();
  }
  Vring& from_guest() { return fixture.port->from_guest(); }
  Vring& to_guest() { return fixture.port->to_guest(); }
  void post(int chains, std::uint32_t bytes = 200) {
    for (int i = 0; i < chains; ++i) machine.ring(0).driver.chain().writable(bytes).publish();
  }
  /// What came, net headers left away.
  std::vector<std::vector<std::uint8_t>> received() {
    std::vector<std::vector<std::uint8_t>> packets;
    for (const auto& used : machine.ring(0).driver.reap()) {
      const auto bytes = machine.ring(0).driver.bytes_of(used);
      packets.emplace_back(bytes.begin() + 12, bytes.end());
    }
    return packets;
  }
};

struct TransferTest : ::testing::Test {
  TransferTest() { start_eal(); }
  void bring_up() {
    sender.bring_up();
    receiver.bring_up();
  }
  /// All packets of the burst, in order.
  std::uint16_t move(std::uint16_t count, Vring& to) {
    std::array<std::uint8_t, 32> which;
    std::iota(which.begin(), which.end(), std::uint8_t{0});
    return transfer->move(which.data(), count, to);
  }
  static std::vector<std::uint8_t> frame() {
    const auto whole = small_packet();
    return {whole.begin() + 12, whole.end()};
  }

  Station sender;
  Station receiver;
  std::unique_ptr<Transfer> transfer = must(Transfer::create());
};

TEST_F(TransferTest, FromOneGuestIntoAnother) {
  bring_up();
  transmit(sender.machine, 3);
  receiver.post(3);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 3);
  EXPECT_EQ(transfer->packet(2).length, 60u);
  EXPECT_EQ(transfer->packet(2).head_length, 60);
  EXPECT_EQ(std::vector<std::uint8_t>(transfer->packet(2).head, transfer->packet(2).head + 60), frame());
  EXPECT_EQ(move(3, receiver.to_guest()), 3);
  EXPECT_EQ(sender.machine.ring(1).driver.used_count(), 0);  // not yet
  transfer->end(3);
  EXPECT_EQ(receiver.received(), std::vector(3, frame()));
  EXPECT_EQ(sender.machine.ring(1).driver.reap().size(), 3u);
  const VringStats sent = sender.from_guest().stats();
  const VringStats got = receiver.to_guest().stats();
  for (const auto& stats : {sent, got}) {
    EXPECT_EQ(stats[VringCounter::packets], 3u);
    EXPECT_EQ(stats[VringCounter::bytes], 180u);
    EXPECT_EQ(stats[VringCounter::bursts], 1u);
    EXPECT_EQ(stats[VringCounter::calls], 1u);
    EXPECT_EQ(stats.dropped(), 0u);
  }
  EXPECT_EQ(got[VringCounter::moved], 3u);
  EXPECT_EQ(sent[VringCounter::moved], 0u);
}

TEST_F(TransferTest, NoMoreThanAskedForAndNoMoreThanABurst) {
  bring_up();
  transmit(sender.machine, 40);
  EXPECT_EQ(transfer->begin(sender.from_guest(), 0), 0);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 5), 5);
  transfer->end(5);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 100), 32);
  transfer->end(32);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 100), 3);
  transfer->end(3);
}

TEST_F(TransferTest, CallsTheDriversThatWantIt) {
  bring_up();
  for (auto* ring : {&sender.machine.ring(1), &receiver.machine.ring(0)}) ring->call.drain();
  transmit(sender.machine);
  receiver.post(1);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 1);
  ASSERT_EQ(move(1, receiver.to_guest()), 1);
  EXPECT_TRUE(signalled(receiver.machine.ring(0).call));
  EXPECT_FALSE(signalled(sender.machine.ring(1).call, std::chrono::milliseconds(0)));
  transfer->end(1);
  EXPECT_TRUE(signalled(sender.machine.ring(1).call));
}

TEST_F(TransferTest, BetweenTheRingsOfOnePort) {
  sender.bring_up();
  transmit(sender.machine, 2);
  sender.post(2);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 2);
  EXPECT_EQ(move(2, sender.to_guest()), 2);
  transfer->end(2);
  EXPECT_EQ(sender.received(), std::vector(2, frame()));
}

TEST_F(TransferTest, RingsThatDoNotRunOrAreTheWrongWayRound) {
  EXPECT_EQ(transfer->begin(sender.from_guest(), 32), 0);
  sender.bring_up();
  transmit(sender.machine, 2);
  EXPECT_EQ(transfer->begin(sender.to_guest(), 32), 0);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 2);
  EXPECT_EQ(move(2, receiver.to_guest()), 0);  // stopped
  EXPECT_EQ(move(2, receiver.from_guest()), 0);
  EXPECT_EQ(move(0, sender.to_guest()), 0);
  transfer->end(0);
  EXPECT_EQ(take_burst(sender.from_guest()), 2);  // nothing was lost
}

TEST_F(TransferTest, ADisabledSenderIsDrained) {
  bring_up();
  sender.machine.enable(1, false);
  sender.machine.sync();
  transmit(sender.machine, 3);
  EXPECT_EQ(transfer->begin(sender.from_guest(), 32), 0);
  EXPECT_EQ(sender.machine.ring(1).driver.reap().size(), 3u);
  EXPECT_EQ(sender.from_guest().stats()[VringCounter::drop_disabled], 3u);
}

TEST_F(TransferTest, ADisabledReceiverTakesNothingUntilItIsEnabled) {
  bring_up();
  receiver.machine.enable(0, false);
  receiver.machine.sync();
  receiver.post(1);
  transmit(sender.machine);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 1);
  EXPECT_EQ(move(1, receiver.to_guest()), 0);
  receiver.machine.enable(0);
  receiver.machine.sync();
  EXPECT_EQ(move(1, receiver.to_guest()), 1);
  transfer->end(1);
}

TEST_F(TransferTest, ALyingReceiverBreaksAndTheSenderGoesOn) {
  bring_up();
  transmit(sender.machine, 2);
  receiver.machine.ring(0).driver.lie();
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 2);
  EXPECT_EQ(move(2, receiver.to_guest()), 0);
  EXPECT_EQ(receiver.fixture.events.until<VringBroken>().index, 0);
  EXPECT_EQ(move(2, receiver.to_guest()), 0);
  transfer->end(0);
  EXPECT_TRUE(receiver.to_guest().state().broken);
  EXPECT_EQ(receiver.to_guest().stats()[VringCounter::broken], 1u);
  EXPECT_EQ(take_burst(sender.from_guest()), 2);
}

TEST_F(TransferTest, ALyingSenderBreaksWhenWhatCameBeforeIsGone) {
  bring_up();
  transmit(sender.machine);
  sender.machine.ring(1).driver.chain().raw(0, 100).publish();
  transmit(sender.machine);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 1);
  transfer->end(1);
  EXPECT_FALSE(sender.from_guest().state().broken);
  EXPECT_EQ(transfer->begin(sender.from_guest(), 32), 0);
  EXPECT_EQ(sender.fixture.events.until<VringBroken>().fault.cause, VringFaultCause::outside_memory);
  EXPECT_EQ(transfer->begin(sender.from_guest(), 32), 0);
  EXPECT_EQ(sender.from_guest().stats()[VringCounter::broken], 1u);
}

TEST_F(TransferTest, WhatWasNotEndedIsStillTheGuests) {
  bring_up();
  transmit(sender.machine, 5);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 5);
  transfer->end(2);
  EXPECT_EQ(must(sender.machine.front_end().get_vring_base(1)), sender.machine.ring(1).driver.base_after(2));
}

TEST_F(TransferTest, TheControlThreadWaitsForTheEnd) {
  bring_up();
  transmit(sender.machine, 2);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 2);
  std::atomic<bool> answered{false};
  std::uint32_t base = 0;
  std::thread front_end([&] {
    base = must(sender.machine.front_end().get_vring_base(1));
    answered = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(answered);
  EXPECT_EQ(transfer->packet(1).length, 60u);
  transfer->end(2);
  front_end.join();
  EXPECT_EQ(base, sender.machine.ring(1).driver.base_after(2));
  EXPECT_EQ(transfer->begin(sender.from_guest(), 32), 0);
}

TEST_F(TransferTest, AnAnnouncementIsABurstOfItsOwn) {
  bring_up();
  transmit(sender.machine, 2);
  receiver.post(3);
  EXPECT_EQ(sender.machine.status_of(Request::send_rarp, U64{0x0605'0403'0201}), 0u);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 1);
  transfer->end(0);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 1);  // it is not lost
  EXPECT_EQ(transfer->packet(0).length, 60u);
  EXPECT_EQ(transfer->packet(0).head[6], 1);
  EXPECT_EQ(transfer->packet(0).head[13], 0x35);
  rte_mbuf* copy = transfer->copy(0, test_pool());
  EXPECT_EQ(copy->pkt_len, 60u);
  rte_pktmbuf_free(copy);
  EXPECT_EQ(move(1, receiver.to_guest()), 1);
  transfer->end(1);
  EXPECT_EQ(sender.from_guest().stats()[VringCounter::packets], 0u);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 2);
  EXPECT_EQ(move(2, receiver.to_guest()), 2);
  transfer->end(2);
  const auto got = receiver.received();
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0][0], 0xff);
  EXPECT_EQ(got[1], frame());
}

TEST_F(TransferTest, AnAnnouncementWaitsForAnEnabledRing) {
  bring_up();
  sender.machine.enable(1, false);
  EXPECT_EQ(sender.machine.status_of(Request::send_rarp, U64{0x0605'0403'0201}), 0u);
  EXPECT_EQ(transfer->begin(sender.from_guest(), 32), 0);
  sender.machine.enable(1);
  sender.machine.sync();
  EXPECT_EQ(transfer->begin(sender.from_guest(), 32), 1);
  transfer->end(1);
  EXPECT_EQ(transfer->begin(sender.from_guest(), 32), 0);
}

TEST_F(TransferTest, CopiesAreAsADequeueMakesThem) {
  bring_up();
  transmit(sender.machine, 2);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 2);
  rte_mbuf* copy = transfer->copy(1, test_pool());
  ASSERT_NE(copy, nullptr);
  const char* reason = "";
  EXPECT_EQ(rte_mbuf_check(copy, 1, &reason), 0) << reason;
  EXPECT_EQ(copy->ol_flags, 0u);
  const auto* data = rte_pktmbuf_mtod(copy, const std::uint8_t*);
  EXPECT_EQ(std::vector<std::uint8_t>(data, data + copy->data_len), frame());
  rte_pktmbuf_free(copy);
  transfer->end(2);
}

TEST_F(TransferTest, AnEmptyPoolIsToldAndCounted) {
  bring_up();
  rte_mempool* pool = test_pool(2048, 3);
  std::vector<rte_mbuf*> held;
  while (rte_mbuf* mbuf = rte_pktmbuf_alloc(pool)) held.push_back(mbuf);
  transmit(sender.machine);
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 1);
  EXPECT_EQ(transfer->copy(0, pool), nullptr);
  EXPECT_EQ(sender.from_guest().stats()[VringCounter::stall_no_mbuf], 1u);
  transfer->end(0);
  for (rte_mbuf* mbuf : held) rte_pktmbuf_free(mbuf);
  EXPECT_EQ(take_burst(sender.from_guest(), pool), 1);
}

#ifndef NDEBUG
TEST_F(TransferTest, MisuseIsAsserted) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  bring_up();
  transmit(sender.machine);
  EXPECT_DEATH(transfer->end(0), "no burst has begun");
  ASSERT_EQ(transfer->begin(sender.from_guest(), 32), 1);
  EXPECT_DEATH(transfer->begin(sender.from_guest(), 32), "not ended");
  EXPECT_DEATH(transfer->end(2), "taken <=");
  const std::uint8_t one = 1;
  EXPECT_DEATH(transfer->move(&one, 1, receiver.to_guest()), "");
#ifdef VHOSTX_CHECK_THREADS
  EXPECT_EQ(take_burst(sender.from_guest()), 0) << "refused, and reported";
#else
  EXPECT_DEATH(take_burst(sender.from_guest()), "two threads");
#endif
  transfer->end(1);
}
#endif

}  // namespace
}  // namespace vhostx::test
