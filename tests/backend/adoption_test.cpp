// SPDX-License-Identifier: BSD-3-Clause
// A connection outlives the back-end that serves it: what it was made of is with a keeper, and another back-end goes
// on.
#include <array>
#include <string>

#include <gtest/gtest.h>

#include "continuity/session_record.hpp"
#include "protocol/codec.hpp"
#include "tests/backend/adoption_fixture.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

TEST(Adoption, ANewConnectionIsNotAdopted) {
  Continuity c;
  Life& life = c.next();
  FakeMachine machine(c.path());
  EXPECT_FALSE(life.events.until<FrontEndConnected>().adopted);
}

TEST(Adoption, AfterAKillTheConnectionGoesOn) {
  Served c;
  auto& [first, machine] = c.started;
  expect_traffic(first, machine);
  Life& second = c.killed_and_next();
  EXPECT_TRUE(second.events.until<FrontEndConnected>().adopted);
  EXPECT_EQ(second.events.until<FeaturesNegotiated>().features, machine.front_end().features().bits());
  EXPECT_EQ(second.events.until<MemoryChanged>().regions, 1U);
  until_started(second);
  expect_traffic(second, machine);
  machine.sync();  // on the same socket
  Life& third = c.killed_and_next();
  until_started(third);
  expect_traffic(third, machine);
}

TEST(Adoption, PacketsWaitInTheRingWhileNobodyServes) {
  Served c;
  auto& [first, machine] = c.started;
  first.die(c.vault);
  transmit(machine, 3);
  Life& second = c.next();
  until_started(second);
  EXPECT_EQ(take_burst(second.port->from_guest(0)), 3);
}

TEST(Adoption, WhatWasUsedBeforeAndNotSignalledIsSignalled) {
  Served c;
  auto& [first, machine] = c.started;
  machine.ring(0).call.drain();
  until_started(c.killed_and_next());
  EXPECT_TRUE(signalled(machine.ring(0).call));
}

// After 65536 buffers nothing in the ring tells that it was used, and it starts when the next one sees its kick.
TEST(Adoption, WhatWasUsedIsSignalledWhereTheIndicesAreZeroAgain) {
  VHOSTX_SPLIT_RINGS_ONLY;
  Continuity c;
  Life& first = c.next();
  FakeMachine machine(c.path());
  FakeDriver& driver = machine.ring(0).driver;
  driver.start_at(0xffff);
  machine.bring_up();
  until_started(first);
  first.port->vring(0).set_notifications(true);
  driver.chain().writable(2000).publish();
  EXPECT_EQ(deliver(*first.port), 1);
  first.die(c.vault);
  EXPECT_EQ(driver.used_index(), 0);
  machine.ring(0).call.drain();  // the process has ended before it
  until_started(c.next());
  EXPECT_TRUE(signalled(machine.ring(0).call));
}

// As QEMU does when its guest reboots: the base is of a packed ring, and no features tell.
TEST(Adoption, OfADeviceThatWasResetHasItsBases) {
  Served c;
  auto& [first, machine] = c.started;
  must(machine.front_end().set_u64(Request::set_status, 0));
  for (std::uint16_t ring = 0; ring < 2; ++ring) must(machine.front_end().get_vring_base(ring));
  first.die(c.vault);
  EXPECT_TRUE(c.next().events.until<FrontEndConnected>().adopted);
  machine.sync();
}

TEST(Adoption, AMessageThatCameWhileNobodyServedIsAnswered) {
  Served c;
  auto& [first, machine] = c.started;
  first.die(c.vault);
  must(machine.front_end().send(make_request(Request::get_queue_num)));
  c.next();
  const auto reply = must(machine.front_end().receive_reply());
  EXPECT_EQ(reply.front_end_request(), Request::get_queue_num);
}

/// Of a message that was read in part nobody can tell what is left in the socket.
TEST(Adoption, AMessageInWorkEndsTheConnection) {
  Served c;
  auto& [first, machine] = c.started;
  const auto request = make_request(Request::set_vring_num, protocol::VringState{0, 64});
  const auto bytes = encode(request);
  must(machine.front_end().send_bytes(std::span(bytes).first(5)));
  while (must(continuity::SessionRecord::adopt(c.vault.file(record_slot), c.limits())).read())
    std::this_thread::yield();  // until it was read
  Life& second = c.killed_and_next();
  EXPECT_TRUE(machine.front_end().closed_by_peer());
  EXPECT_NE(second.logged().find("in the midst of a message"), std::string::npos) << second.logged();
  FakeMachine again(c.path());
  again.bring_up();
  until_started(second);
  expect_traffic(second, again);
}

TEST(Adoption, APortThatIsClosedLeavesItsConnectionToTheKeeper) {
  Continuity c;
  Life& first = c.next({.keeper_grace = std::chrono::seconds(7)});
  FakeMachine machine(c.path());
  machine.bring_up();
  until_started(first);
  transmit(machine);  // it waits
  first.end();
  EXPECT_EQ(c.vault.grace(), std::chrono::seconds(7));
  EXPECT_FALSE(machine.front_end().peer_is_gone());
  Life& second = c.next();
  until_started(second);
  EXPECT_EQ(take_burst(second.port->from_guest(0)), 1);
  machine.ring(1).driver.reap();
  expect_traffic(second, machine);
}

TEST(Adoption, WithoutGraceAPortThatIsClosedClosesItsConnection) {
  Continuity c;
  Life& first = c.next({.keeper_grace = std::chrono::milliseconds(0)});
  FakeMachine machine(c.path());
  machine.bring_up();
  first.end();
  EXPECT_TRUE(machine.front_end().closed_by_peer());
}

TEST(Adoption, AConnectionThatHasEndedLeavesNothing) {
  Continuity c;
  Life& life = c.next();
  const std::size_t empty = c.vault.size();
  for (int i = 0; i < 3; ++i) {
    FakeMachine machine(c.path());
    machine.bring_up();
    EXPECT_GT(c.vault.size(), empty + 5);
    machine.front_end().disconnect();
    life.events.until<FrontEndDisconnected>();
    EXPECT_EQ(c.vault.size(), empty) << "the record alone";
  }
  Life& second = c.killed_and_next();
  EXPECT_EQ(second.events.rest(), "");
}

/// A change takes the place of what was there before.
TEST(Adoption, WhatIsReplacedIsDropped) {
  Continuity c;
  Life& life = c.next();
  FakeMachine machine(c.path());
  machine.bring_up();
  until_started(life);
  const std::size_t held = c.vault.size();
  for (int i = 0; i < 5; ++i) {
    machine.send_fds(0);
    machine.sync();
    EXPECT_EQ(c.vault.size(), held);
  }
  // SET_VRING_NUM on a running ring is refused, with descriptors or without.
  EXPECT_NE(machine.status_of(Request::set_vring_num, protocol::VringState{0, 32}), 0U);
  EXPECT_EQ(c.vault.size(), held);
}

TEST(Adoption, WhatDoesNotFitEndsTheConnection) {
  Served c(2);
  auto& [first, machine] = c.started;
  first.die(c.vault);
  c.options.queue_pairs_max = 1;
  Life& second = c.next();
  ASSERT_NE(second.port, nullptr) << second.error.message;
  EXPECT_TRUE(machine.front_end().closed_by_peer());
  EXPECT_NE(second.logged().find("expected"), std::string::npos) << second.logged();
}

TEST(Adoption, FeaturesThatAreNotOfferedAnyMoreEndTheConnection) {
  Served c;
  auto& [first, machine] = c.started;
  first.die(c.vault);
  c.options.features_masked = FeatureSet{VirtioFeature::net_mrg_rxbuf}.bits();
  Life& second = c.next();
  EXPECT_TRUE(machine.front_end().closed_by_peer());
  second.events.until<FrontEndDisconnected>();
  EXPECT_NE(second.logged().find("cannot go on: "), std::string::npos) << second.logged();
  FakeMachine again(c.path());
  again.bring_up();
  until_started(second);
}

/// Whoever can write to the keeper can forge: each descriptor is checked as if it had come from a front-end.
TEST(Adoption, ForgedDescriptorsAreRefused) {
  const EventFd event = must(EventFd::create());
  for (const int fd : {-1, event.get()}) {
    Served c;
    auto& [first, machine] = c.started;
    first.die(c.vault);
    const auto state = must(must(continuity::SessionRecord::adopt(c.vault.file(record_slot), c.limits())).read());
    c.vault.forge(state.regions.at(0).file, fd);
    Life& second = c.next();
    EXPECT_TRUE(machine.front_end().closed_by_peer());
    second.events.until<FrontEndDisconnected>();
  }
}

TEST(Adoption, TwoProcessesNeverServeOnePort) {
  Served c;
  auto& [first, machine] = c.started;
  Life& second = c.next();
  EXPECT_EQ(second.port, nullptr);
  EXPECT_EQ(second.error.code, ErrorCode::busy);
  EXPECT_NE(second.error.message.find("process 4711 serves it"), std::string::npos) << second.error.message;
  expect_traffic(first, machine);
}

TEST(Adoption, WhereTheKeeperFailsThePortGoesOn) {
  Served c;
  auto& [first, machine] = c.started;
  const auto record = must(continuity::SessionRecord::adopt(c.vault.file(record_slot), c.limits()));
  c.vault.break_down();
  expect_traffic(first, machine);
  machine.send_fds(0);
  machine.sync();
  expect_traffic(first, machine);
  EXPECT_NE(first.logged().find("goes on without it"), std::string::npos) << first.logged();
  EXPECT_FALSE(record.read()) << "nobody else may serve these rings now";
}

/// The process ends after the k-th message of a connection, whichever that is, and the front-end does not notice.
TEST(Adoption, AtEveryMessageOfAConnection) {
  const auto messages = [](FakeMachine& m, int k) {
    int n = 0;
    const auto next = [&] { return n++ == k; };
    if (next()) m.negotiate();
    if (next()) m.send_memory();
    for (std::uint16_t ring = 0; ring < 2; ++ring) {
      if (next()) m.configure_ring(ring);
      if (next()) m.send_fds(ring);
      if (next()) m.enable(ring);
      if (next()) m.kick(ring);
    }
    if (next()) must(m.front_end().set_u64(Request::net_set_mtu, 1400));
    if (next()) must(m.front_end().set_u64(Request::set_status, 15));
    m.sync();
    return n;
  };
  constexpr int steps = 12;
  for (int death = 0; death < steps; ++death) {
    SCOPED_TRACE(death);
    Continuity c;
    c.next();
    FakeMachine machine(c.path());
    for (int k = 0; k < steps; ++k) {
      ASSERT_EQ(messages(machine, k), steps);
      if (k == death) c.killed_and_next();
    }
    Life& last = *c.lives.front();
    until_started(last);
    expect_traffic(last, machine);
    const PortInfo info = last.port->info();
    EXPECT_EQ(info.mtu, 1400);
    EXPECT_EQ(info.status, 15);
  }
}

}  // namespace
}  // namespace vhostx::test
