// SPDX-License-Identifier: BSD-3-Clause
// Eventfds whose signals take long, because a peer lets thousands wait for them. Who makes a signal is told by where it
// is seen, never by how long it took.
#include "base/slow_signals.hpp"

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <poll.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "base/event_fd.hpp"
#include "base/peer_signals.hpp"
#include "tests/support/emulated_kernel.hpp"
#include "tests/support/eventfd_waiters.hpp"

namespace vhostx {
namespace {

using test::EventfdWaiters;

std::uint64_t taken(const UniqueFd& event, int timeout_ms = 0) {
  pollfd signalled{event.get(), POLLIN, 0};
  std::uint64_t count = 0;
  if (::poll(&signalled, 1, timeout_ms) != 1) return 0;
  return ::read(event.get(), &count, sizeof count) == sizeof count ? count : 0;
}

std::size_t threads_here() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

class SlowSignalsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_io_setup()) GTEST_SKIP() << test::no_io_setup;
    ASSERT_TRUE(prepare_peer_signals());
    auto adopted = EventFd::adopt(UniqueFd(::dup(peers.get())), "a call", signals);
    ASSERT_TRUE(adopted);
    call = std::move(adopted).value();
  }
  void TearDown() override { signals->close(); }

  /// From here on the thread makes the signals.
  void make_slow() {
    waiters = std::make_unique<EventfdWaiters>(peers.get(), 50'000);
    if (!waiters->enough()) GTEST_SKIP() << "fs.epoll.max_user_watches allows no 50,000";
    call.signal();
    EXPECT_FALSE(signals->uses_thread());  // it may be this thread that had to wait
    call.signal();
    EXPECT_EQ(taken(peers), 2U);  // both made here
    ASSERT_TRUE(signals->uses_thread());
  }

  std::shared_ptr<const EventFd> attention = std::make_shared<const EventFd>(EventFd::create().value());
  std::shared_ptr<SlowSignals> signals = std::make_shared<SlowSignals>(attention);
  UniqueFd peers{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  EventFd call;
  std::unique_ptr<EventfdWaiters> waiters;
  static constexpr int long_ms = 60'000;
};

TEST_F(SlowSignalsTest, AQuickOneIsMadeByTheCaller) {
  call.signal();
  EXPECT_EQ(taken(peers), 1U);
  EXPECT_EQ(signals->made_by_thread(), 0U);
}

TEST_F(SlowSignalsTest, AfterASlowOneTheCallerMakesNone) {
  make_slow();
  if (IsSkipped()) return;
  for (int i = 0; i < 1000; ++i) call.signal();
  EXPECT_EQ(taken(peers), 0U);  // there is no thread yet: it is the control thread's to start
  EXPECT_TRUE(attention->drain());
  ASSERT_TRUE(signals->serve());
  EXPECT_EQ(taken(peers, long_ms), 1U);  // all of them are one
  EXPECT_EQ(signals->made_by_thread(), 1U);
}

TEST_F(SlowSignalsTest, TheThreadTakesWhatComesLater) {
  make_slow();
  if (IsSkipped()) return;
  call.signal();
  ASSERT_TRUE(signals->serve());
  ASSERT_EQ(taken(peers, long_ms), 1U);
  waiters.reset();
  for (std::uint64_t i = 2; i < 5; ++i) {
    call.signal();
    ASSERT_TRUE(signals->serve());  // on a machine that is busy the thread may have been idle for a second, and ended
    ASSERT_EQ(taken(peers, long_ms), 1U);
    EXPECT_EQ(signals->made_by_thread(), i);
  }
}

TEST_F(SlowSignalsTest, ItIsReportedOnce) {
  make_slow();
  if (IsSkipped()) return;
  std::uint64_t reported = 0;
  while (reported == 0) {  // a signal may be quicker than the one before, which was just slow enough
    call.signal();
    ASSERT_TRUE(signals->serve());
    ASSERT_EQ(taken(peers, long_ms), 1U);
    reported = signals->take_report();
  }
  EXPECT_GT(reported, 200U);
  call.signal();
  ASSERT_TRUE(signals->serve());
  ASSERT_EQ(taken(peers, long_ms), 1U);
  EXPECT_EQ(signals->take_report(), 0U);
}

TEST_F(SlowSignalsTest, OtherEventfdsOfThePortGoTheSameWay) {
  make_slow();
  if (IsSkipped()) return;
  UniqueFd others{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  const auto other = EventFd::adopt(UniqueFd(::dup(others.get())), "a call", signals);
  ASSERT_TRUE(other);
  other->signal();
  call.signal();
  EXPECT_EQ(taken(others), 0U);
  ASSERT_TRUE(signals->serve());
  EXPECT_EQ(taken(others, long_ms), 1U);
  EXPECT_EQ(taken(peers, long_ms), 1U);
}

TEST_F(SlowSignalsTest, TheThreadEndsWhenItIsIdle) {
  make_slow();
  if (IsSkipped()) return;
  const std::size_t before = threads_here();
  for (int round = 0; round < 2; ++round) {
    call.signal();
    ASSERT_TRUE(signals->serve());
    ASSERT_EQ(taken(peers, long_ms), 1U);
    while (threads_here() != before) std::this_thread::yield();
  }
}

TEST_F(SlowSignalsTest, WhatWaitsWhenThePortClosesIsDropped) {
  make_slow();
  if (IsSkipped()) return;
  call.signal();
  const std::weak_ptr<SlowSignals> port = signals;
  signals->close();
  call.signal();  // nobody makes it
  EXPECT_EQ(taken(peers), 0U);
  call = {};
  signals = std::make_shared<SlowSignals>(attention);
  EXPECT_TRUE(port.expired());
}

TEST_F(SlowSignalsTest, ADescriptorIsOpenAsLongAsItsSignalWaits) {
  make_slow();
  if (IsSkipped()) return;
  call.signal();
  call = {};
  ASSERT_TRUE(signals->serve());
  EXPECT_EQ(taken(peers, long_ms), 1U);
}

}  // namespace
}  // namespace vhostx
