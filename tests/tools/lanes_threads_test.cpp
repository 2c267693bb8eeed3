// SPDX-License-Identifier: BSD-3-Clause
// Lanes move between workers while packets flow, and workers sleep and wake: everything arrives, in order, once.
#include <random>

#include <gtest/gtest.h>

#include "tests/tools/lanes_fixture.hpp"
#include "tools/switch/standstill.hpp"

namespace vhostx::test {
namespace {

class MovingLanesBothWays : public MovingLanes, public testing::WithParamInterface<bool> {
 protected:
  std::size_t pick(std::size_t below) { return random_() % below; }
  void some_traffic() {
    for (std::size_t i = 0; i < guests_.size(); ++i)
      step(i, static_cast<int>(pick(20)), static_cast<int>(pick(3) == 0 ? 0 : pick(30)));
  }
  void wait_until_asleep() {
    for (auto& guest : guests_)
      while (!guest->is_slept_on()) std::this_thread::yield();
  }

  /// The lanes lie in another vector afterwards, before one that nobody serves; every other time without it.
  void stand_still(int round) {
    const bool with_one_more = round % 2 == 0;
    std::vector<std::unique_ptr<tools::RxLane>> lanes;
    lanes.reserve(guests_.size() + 1);
    auto one_more = std::make_unique<tools::RxLane>();
    one_more->worker = nobody;
    one_more->wanted = nobody;
    {
      const tools::Standstill standstill(
          fabric_, {lanes.capacity(), static_cast<std::size_t>(fabric_.tx_queues) + static_cast<std::size_t>(round)});
      EXPECT_TRUE(standstill.has_room());
      expect_nothing_taken();
      for (auto& lane : fabric_.lanes)
        if (lane->worker != nobody) lanes.push_back(std::move(lane));
      if (with_one_more) lanes.push_back(std::move(one_more));
      fabric_.lanes.swap(lanes);
    }
  }

  /// Of what guests send now.
  void expect_nothing_taken() {
    const auto before = taken();
    for (std::size_t i = 0; i < guests_.size(); ++i) step(i, 1, 1);
    for (int look = 0; look < 200; ++look) ASSERT_EQ(taken(), before);
  }
  std::uint64_t taken() {
    std::uint64_t packets = 0;
    for (auto& guest : guests_) packets += guest->port.from_guest().stats()[VringCounter::packets];
    return packets;
  }

  static constexpr std::uint16_t nobody = 0xffff;
  std::mt19937 random_{20};
};
INSTANTIATE_TEST_SUITE_P(Transferring, MovingLanesBothWays, testing::Bool());

TEST_P(MovingLanesBothWays, WhilePacketsFlow) {
  make(4, 3, GetParam());
  for (int round = 0; round < 3000 && !HasFailure(); ++round) {
    some_traffic();
    move(pick(4), pick(3));
    if (round % 2 == 0) settle();
    if (round % 50 == 0) drain();
  }
  drain();
  settle();
  expect_nothing_dropped();
  EXPECT_GT(guests_[0]->received, 3000u);
}

/// Most requests are overtaken by the next one before they are done.
TEST_P(MovingLanesBothWays, AllAtOnceAndBackAtOnce) {
  make(4, 3, GetParam());
  for (int round = 0; round < 1000 && !HasFailure(); ++round) {
    some_traffic();
    const auto to = pick(3);
    for (std::size_t lane = 0; lane < 4; ++lane) move(lane, to);
    for (std::size_t lane = 0; lane < 4; ++lane) move(lane, (to + 1 + lane % 2) % 3);
    if (round % 20 == 0) {
      settle();
      drain();
    }
  }
  drain();
  settle();
  expect_nothing_dropped();
}

/// A lane whose worker sleeps, to a worker that sleeps; and then a packet, which has to wake that one where it has
/// fallen asleep again.
TEST_P(MovingLanesBothWays, WhileWorkersSleep) {
  make(2, 2, GetParam());
  for (int round = 0; round < 500 && !HasFailure(); ++round) {
    const std::size_t lane = pick(2);
    wait_until_asleep();
    move(lane, pick(2));
    if (round % 2 == 0) {
      settle();
      wait_until_asleep();
    }
    step(lane, 1 + static_cast<int>(pick(3)), 64);
    drain();
  }
  settle();
  expect_nothing_dropped();
}

/// The receiver has no buffers: what waits for it moves along with its lane, and the new worker brings it on.
TEST_P(MovingLanesBothWays, WithABacklog) {
  make(2, 3, GetParam());
  auto& queue = *fabric_.ports[1]->tx[0];
  for (int round = 0; round < 300 && !HasFailure(); ++round) {
    while (!queue.has_backlog() && !HasFailure()) {
      guests_[1]->receive();
      if (guests_[0]->sent - guests_[1]->received < under_way_max) guests_[0]->send(20);
      std::this_thread::yield();
    }
    for (std::size_t i = pick(3); i <= 3; ++i) move(1, pick(3));
    if (pick(2) == 0) settle();
    while (queue.has_backlog() && !HasFailure()) {
      guests_[1]->receive();
      guests_[1]->post(7);
      std::this_thread::yield();
    }
  }
  drain();
  settle();
  expect_nothing_dropped();
  EXPECT_GT(guests_[1]->received, 300u);
}

/// One worker stops with lanes on their way to it and from it, and runs again later: no lane is lost with it.
TEST_P(MovingLanesBothWays, WhileAWorkerStopsInTheMiddle) {
  make(4, 3, GetParam());
  for (int round = 0; round < 100 && !HasFailure(); ++round) {
    const auto stopped = static_cast<std::uint16_t>(pick(3));
    for (std::size_t lane = 0; lane < 4; ++lane) move(lane, stopped);
    some_traffic();
    for (std::size_t lane = 0; lane < 4; ++lane) move(lane, pick(3));
    stop(stopped);
    for (int i = 0; i < 5; ++i) some_traffic();
    for (std::size_t lane = 0; lane < 4; ++lane) move(lane, pick(3));
    start(stopped);
    some_traffic();
    if (round % 10 == 0) drain();
  }
  drain();
  settle();
  expect_nothing_dropped();
}

/// Whatever workers know moves to other addresses while they stand still, and queues become more.
TEST_P(MovingLanesBothWays, WhilePortsComeAndGo) {
  make(4, 3, GetParam());
  for (int round = 0; round < 1000 && !HasFailure(); ++round) {
    some_traffic();
    if (round % 3 == 0) move(pick(4), pick(3));
    stand_still(round);
    if (round % 50 == 0) drain();
  }
  drain();
  settle();
  expect_nothing_dropped();
  EXPECT_GT(guests_[0]->received, 1000u);
}

TEST_P(MovingLanesBothWays, WhilePortsComeAndGoAndWorkersSleep) {
  make(2, 2, GetParam());
  for (int round = 0; round < 300 && !HasFailure(); ++round) {
    wait_until_asleep();
    stand_still(round);
    step(pick(2), 1 + static_cast<int>(pick(3)), 64);
    drain();
  }
  expect_nothing_dropped();
}

/// A worker that does not run is not waited for.
TEST_P(MovingLanesBothWays, WhilePortsComeAndGoAndAWorkerHasEnded) {
  make(4, 3, GetParam());
  for (int round = 0; round < 30 && !HasFailure(); ++round) {
    const auto stopped = static_cast<std::uint16_t>(pick(3));
    stop(stopped);
    stand_still(round);
    some_traffic();
    start(stopped);
    stand_still(round);
    some_traffic();
    if (round % 10 == 0) drain();
  }
  drain();
  expect_nothing_dropped();
}

/// The end comes while everything is on its way: what the guests have got is in order, and nothing leaks.
TEST_P(MovingLanesBothWays, UntilAllStop) {
  make(4, 3, GetParam());
  for (int round = 0; round < 50; ++round) {
    some_traffic();
    for (std::size_t lane = 0; lane < 4; ++lane) move(lane, pick(3));
  }
  stop_all();
  for (auto& guest : guests_) guest->receive();
}

}  // namespace
}  // namespace vhostx::test
