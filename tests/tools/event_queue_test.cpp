// SPDX-License-Identifier: BSD-3-Clause
// What a peer can make the switch print: a rate a port, and the last state all the same.
#include "tools/switch/event_queue.hpp"

#include <poll.h>
#include <utility>

#include <gtest/gtest.h>

namespace vhostx::tools {
namespace {

bool is_readable(const EventQueue& queue) {
  pollfd waiting{queue.fd(), POLLIN, 0};
  return poll(&waiting, 1, 0) == 1;
}

/// What may be told by now, however long the test has been descheduled.
std::size_t most(const EventQueue& queue) {
  constexpr unsigned rate = EventQueue::per_second_default;
  return EventQueue::seconds_at_once * rate + 1 + static_cast<std::size_t>(queue.seconds() * rate);
}

TEST(EventQueue, TellsTheLastOfManyAndHowManyItLeftOut) {
  constexpr std::uint16_t events = 50'000;
  EventQueue queue;
  for (std::uint16_t i = 1; i <= events; ++i) queue.push("a", MtuSet{i});
  EXPECT_TRUE(queue.holds_back());
  auto told = queue.take(EventQueue::Take::all);
  EXPECT_LE(told.size(), most(queue) + 1);
  EXPECT_EQ(std::get<MtuSet>(told.front().event).mtu, 1);
  EXPECT_EQ(std::get<MtuSet>(told.back().event).mtu, events);
  std::uint64_t left_out = 0;
  for (const auto& event : told) left_out += event.left_out;
  EXPECT_EQ(left_out + told.size(), events);
  EXPECT_EQ(queue.lost(), left_out);
  EXPECT_FALSE(queue.holds_back());
}

TEST(EventQueue, HasTheRateThatWasAskedFor) {
  EventQueue queue(10'000);
  for (std::uint16_t i = 0; i < 20'000; ++i) queue.push("a", MtuSet{i});
  EXPECT_EQ(queue.take().size(), 20'000u);
  EXPECT_EQ(queue.lost(), 0u);
}

TEST(EventQueue, KeepsTheLastOfEachKindAndVringInTheOrderInWhichTheyHappened) {
  EventQueue queue;
  for (int i = 0; i < 2000; ++i) {
    queue.push("a", FrontEndConnected{});
    queue.push("a", VringStarted{0});
    queue.push("a", VringStarted{1});
    queue.push("a", VringStopped{0});
    queue.push("a", FrontEndDisconnected{});
  }
  const auto told = queue.take(EventQueue::Take::all);
  ASSERT_GE(told.size(), 5u);
  std::string last;
  for (auto event = told.end() - 5; event != told.end(); ++event) last += std::string(event_name(event->event)) + " ";
  EXPECT_EQ(last, "connected vring_started vring_started vring_stopped disconnected ");
}

TEST(EventQueue, APortsNoiseIsNobodyElses) {
  EventQueue queue;
  for (int i = 0; i < 1000; ++i) queue.push("noisy", StatusSet{1});
  queue.take();
  queue.push("quiet", StatusSet{2});
  const auto told = queue.take();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.front().port, "quiet");
  EXPECT_EQ(told.front().left_out, 0u);
}

TEST(EventQueue, ALargePortStartsAtOnce) {
  EventQueue queue;
  queue.add_port("large", 256);
  for (std::uint16_t i = 0; i < 256; ++i) {
    queue.push("large", VringStarted{i});
    queue.push("large", VringEnabled{i, true});
  }
  EXPECT_EQ(queue.take().size(), 512u);
  EXPECT_FALSE(queue.holds_back());
}

TEST(EventQueue, WhatIsHeldBackIsToldWhenThereIsRoom) {
  EventQueue queue(1000);
  for (std::uint16_t i = 0; i < 10'000; ++i) queue.push("a", MtuSet{i});
  auto told = queue.take();
  while (queue.holds_back())  // the test's time-out is the limit
    for (auto& event : queue.take()) told.push_back(std::move(event));
  EXPECT_EQ(std::get<MtuSet>(told.back().event).mtu, 9999);
  EXPECT_EQ(told.size() + queue.lost(), 10'000u);
}

TEST(EventQueue, WhatIsHeldBackWakesOnce) {
  EventQueue queue;
  for (int i = 0; i < 1000; ++i) queue.push("a", StatusSet{1});
  EXPECT_TRUE(is_readable(queue));
  queue.hush();
  queue.push("a", StatusSet{2});
  EXPECT_FALSE(is_readable(queue));
  EXPECT_EQ(std::get<StatusSet>(queue.take(EventQueue::Take::all).back().event).status, 2);
}

TEST(EventQueue, OfAPortThatIsRemovedTheLastIsToldAndNothingIsKept) {
  EventQueue queue;
  for (std::uint16_t i = 1; i <= 1000; ++i) queue.push("a", MtuSet{i});
  EXPECT_TRUE(queue.holds_back());
  queue.remove_port("a");
  EXPECT_FALSE(queue.holds_back());
  EXPECT_TRUE(is_readable(queue));
  const auto told = queue.take();
  EXPECT_EQ(std::get<MtuSet>(told.back().event).mtu, 1000);
  queue.remove_port("a");
  queue.remove_port("never there");
  EXPECT_TRUE(queue.take().empty());
}

}  // namespace
}  // namespace vhostx::tools
