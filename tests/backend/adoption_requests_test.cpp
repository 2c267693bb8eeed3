// SPDX-License-Identifier: BSD-3-Clause
// What else outlives a back-end: its requests to the front-end (in-band calls), and its counters.
#include <array>
#include <fcntl.h>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "protocol/codec.hpp"
#include "tests/backend/adoption_fixture.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

struct KeptInBand : ::testing::Test, Continuity {
  KeptInBand() {
    start_eal();
    next();
    machine.emplace(path());
    machine->negotiate(usual_features, {ProtocolFeature::reply_ack, ProtocolFeature::backend_req,
                                        ProtocolFeature::inband_notifications});
    must(machine->front_end().open_backend_channel());
    machine->send_memory();
    machine->configure_ring(1);
    machine->enable(1);
    must(machine->front_end().set_vring_fd(Request::set_vring_kick, 1, -1));
    must(machine->front_end().set_vring(Request::vring_kick, 1, 0));
    until_started(life(), 1);
  }
  Life& life() { return *lives.front(); }
  void take_one() {
    transmit(*machine);
    ASSERT_EQ(take_burst(life().port->from_guest()), 1);
  }
  void expect_call() {
    Message message = must(machine->front_end().receive_backend_request());
    EXPECT_EQ(message.back_end_request(), BackEndRequest::vring_call);
    EXPECT_EQ(must(message.payload_as<protocol::VringState>()).index, 1U);
    last = message.header();
  }
  void answer() { must(machine->front_end().reply_to_backend(make_ack(last, 0))); }
  void next_life() {
    killed_and_next();
    until_started(life(), 1);
  }
  /// A call that nobody else has caused, and its answer.
  void expect_that_calls_work() {
    take_one();
    expect_call();
    answer();
  }

  std::optional<FakeMachine> machine;
  Header last;
};

TEST_F(KeptInBand, CallsAreRepeated) {
  take_one();
  expect_call();
  answer();
  next_life();
  expect_call();
  answer();
  expect_that_calls_work();
}

TEST_F(KeptInBand, TheAnswerToALifeBeforeIsNotOneTooMany) {
  take_one();
  expect_call();
  next_life();  // the answer is due
  expect_call();
  next_life();  // two are
  expect_call();
  for (int i = 0; i < 3; ++i) answer();
  machine->sync();
  for (int i = 0; i < 3; ++i) expect_that_calls_work();
}

TEST_F(KeptInBand, TheAnswerThatComesWhileNobodyServes) {
  take_one();
  expect_call();
  life().die(vault);
  answer();
  next();
  until_started(life(), 1);
  expect_call();
  answer();
  expect_that_calls_work();
}

TEST_F(KeptInBand, MoreAnswersThanWereDueCloseTheChannel) {
  take_one();
  expect_call();
  next_life();
  expect_call();
  for (int i = 0; i < 3; ++i) answer();
  char byte;
  EXPECT_LE(::recv(machine->front_end().backend_fd(), &byte, 1, 0), 0);
  machine->sync();
}

TEST_F(KeptInBand, AChannelThatWasClosedStaysClosed) {
  const std::array<std::uint8_t, 64> rubbish{0xff, 0xff, 0xff, 0xff};
  ASSERT_EQ(::send(machine->front_end().backend_fd(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL), 64);
  char byte;
  EXPECT_LE(::recv(machine->front_end().backend_fd(), &byte, 1, 0), 0);
  machine->sync();
  next_life();
  EXPECT_LE(::recv(machine->front_end().backend_fd(), &byte, 1, 0), 0);
  take_one();
  machine->sync();
}

TEST_F(KeptInBand, AnAnswerInWorkEndsTheConnection) {
  take_one();
  expect_call();
  const auto bytes = encode(make_ack(last, 0));
  ASSERT_EQ(::send(machine->front_end().backend_fd(), bytes.data(), 5, MSG_NOSIGNAL), 5);
  while (must(continuity::SessionRecord::adopt(vault.file(record_slot), limits())).read()) std::this_thread::yield();
  killed_and_next();
  EXPECT_TRUE(machine->front_end().closed_by_peer());
}

TEST_F(KeptInBand, APortThatIsClosedLeavesTheChannelOpen) {
  life().end();
  next();
  until_started(life(), 1);
  expect_call();
  answer();
  expect_that_calls_work();
}

std::uint64_t counted(Life& life) { return life.port->from_guest().count(VringCounter::packets); }

void serve(Life& life, FakeMachine& machine, int count) {
  transmit(machine, count);
  EXPECT_EQ(take_burst(life.port->from_guest()), count);
  EXPECT_EQ(machine.ring(1).driver.reap().size(), static_cast<std::size_t>(count));
}

TEST(KeptCounters, GoOn) {
  start_eal();
  Served c;
  auto& [first, machine] = c.started;
  serve(first, machine, 3);
  Life& second = c.killed_and_next();
  until_started(second);
  EXPECT_EQ(counted(second), 3U);
  EXPECT_EQ(second.port->info().connections, 1U);
  serve(second, machine, 4);
  second.port->from_guest().reset_stats();
  serve(second, machine, 2);
  Life& third = c.killed_and_next();
  until_started(third);
  EXPECT_EQ(counted(third), 2U) << "since they were reset";
  machine.front_end().disconnect();
  third.events.until<FrontEndDisconnected>();
  FakeMachine again(c.path());
  again.bring_up();
  until_started(third);
  EXPECT_EQ(third.port->info().connections, 2U);
  EXPECT_EQ(counted(third), 2U);
}

TEST(KeptCounters, OfAClosedPortAreItsOwn) {
  start_eal();
  Served c;
  auto& [first, machine] = c.started;
  serve(first, machine, 3);
  first.stop();  // closing is for the thread that runs the control side
  first.port->close();
  first.die(c.vault);
  Life& second = c.next();
  until_started(second);
  serve(second, machine, 2);
  EXPECT_EQ(counted(second), 5U);
  EXPECT_EQ(counted(first), 3U);
}

/// Any number is a count.
TEST(KeptCounters, OfAStrangerAreNumbers) {
  start_eal();
  Served c;
  auto& [first, machine] = c.started;
  first.die(c.vault);
  const UniqueFd file = c.vault.file(counters_slot);
  const std::vector<std::uint8_t> noise(3 * 4096, 0xff);
  ASSERT_EQ(::pwrite(file.get(), noise.data(), noise.size(), 0), static_cast<ssize_t>(noise.size()));
  Life& second = c.next();
  until_started(second);
  serve(second, machine, 2);
  EXPECT_EQ(counted(second), 2U) << "what was counted and what was reset are equal";
}

TEST(KeptCounters, ThatDoNotFitBeginAtZero) {
  start_eal();
  const EventFd event = must(EventFd::create());
  const UniqueFd small(::memfd_create("small", MFD_CLOEXEC));
  for (const int fd : {-1, event.get(), small.get()}) {
    Served c;
    auto& [first, machine] = c.started;
    serve(first, machine, 3);
    first.die(c.vault);
    c.vault.forge(counters_slot, fd);
    Life& second = c.next();
    until_started(second);
    serve(second, machine, 2);
    EXPECT_EQ(counted(second), 2U);
    EXPECT_EQ(second.port->info().connections, 1U);
  }
}

}  // namespace
}  // namespace vhostx::test
