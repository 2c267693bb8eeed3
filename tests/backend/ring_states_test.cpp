// SPDX-License-Identifier: BSD-3-Clause
// vhost-user "Ring states": started and stopped, enabled and disabled, as a front-end drives them.
#include <gtest/gtest.h>

#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

// A port, and a machine that has negotiated, sent its memory and configured ring 0 and 1.
struct RingStates : ::testing::Test {
  RingStates() {
    machine.negotiate();
    machine.send_memory();
    machine.configure_ring(0);
    machine.configure_ring(1);
  }
  void start(std::uint16_t index) {
    machine.send_fds(index);
    machine.enable(index);
    machine.kick(index);
    while (fixture.events.until<VringStarted>().index != index) {
    }
  }
  vhostx::VringState state(std::uint16_t index) { return fixture.port->vring(index).state(); }

  PortFixture fixture;
  FakeMachine machine{fixture.options.socket_path};
};

TEST_F(RingStates, ARingStartsAtItsFirstKick) {
  machine.send_fds(0);
  machine.enable(0);
  machine.sync();
  EXPECT_FALSE(state(0).started);
  EXPECT_TRUE(state(0).enabled);
  machine.kick(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
  EXPECT_TRUE(state(0).started);
  EXPECT_FALSE(state(1).started);
}

TEST_F(RingStates, AKickBeforeTheDescriptorArrivesCounts) {
  machine.kick(0);
  machine.send_fds(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
}

TEST_F(RingStates, TheKickStaysReadableForABackEndThatComesLater) {
  start(0);
  EXPECT_TRUE(signalled(machine.ring(0).kick));
}

TEST_F(RingStates, ARingThatWasInUseStartsWithoutAKick) {
  machine.configure_ring(0, 7);
  machine.ring(0).driver.start_at(7);
  machine.send_fds(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
}

TEST_F(RingStates, ARingWithUsedEntriesStartsWithoutAKickAndGoesOnFromThem) {
  machine.ring(0).driver.start_at(9);  // virtio-user says base 0 after each reconnection
  machine.send_fds(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
  EXPECT_EQ(must(machine.front_end().get_vring_base(0)), machine.ring(0).driver.base_after(0));
}

TEST_F(RingStates, ARingWhoseKicksAnotherBackEndSwitchedOffStartsWithoutAKick) {
  const auto used = machine.ring(0).driver.addresses().used.value - machine.region(0).front_end_address;
  *machine.guest().at_as<std::uint16_t>(machine.region(0).guest_address + used) = 1;  // VIRTQ_USED_F_NO_NOTIFY
  machine.send_fds(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
}

// A front-end by the newest text that injects no kick; or one whose driver's kick an earlier back-end has read.
TEST_F(RingStates, BuffersThatWaitInAFreshRingNeedNoKick) {
  machine.ring(0).driver.chain().writable(2048).publish();
  machine.send_fds(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
  EXPECT_FALSE(state(0).enabled);
}

// QEMU 11.1 writes to the eventfd right after SET_VRING_KICK, whether there are buffers or not.
TEST_F(RingStates, AKickThatTheFrontEndInjectsStartsARingWithoutBuffers) {
  must(machine.front_end().set_vring_fd(Request::set_vring_kick, 0, machine.ring(0).kick.get()));
  machine.kick(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
  EXPECT_FALSE(state(0).enabled);
  machine.enable(0);
  EXPECT_TRUE(fixture.events.until<VringEnabled>().enabled);
}

TEST_F(RingStates, AKickBeforeTheRingIsEnabledStartsIt) {
  machine.send_fds(0);
  machine.kick(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
  EXPECT_FALSE(state(0).enabled);
}

TEST_F(RingStates, ARingWithoutKickDescriptorIsPolledAndStartsAtOnce) {
  must(machine.front_end().set_vring_fd(Request::set_vring_kick, 1, -1));
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 1);
  EXPECT_EQ(fixture.port->vring(1).kick_fd(), -1);
}

TEST_F(RingStates, GetVringBaseStopsThatRingAlone) {
  start(0);
  start(1);
  EXPECT_EQ(must(machine.front_end().get_vring_base(0)), machine.ring(0).driver.base_after(0));
  EXPECT_EQ(fixture.events.until<VringStopped>().index, 0);
  EXPECT_FALSE(state(0).started);
  EXPECT_TRUE(state(1).started);
  EXPECT_EQ(fixture.port->vring(0).kick_fd(), -1);
}

TEST_F(RingStates, ARingIsReadyBeforeItsFirstKick) {
  EXPECT_EQ(fixture.port->vring(0).size(), 0);
  machine.send_fds(0);
  machine.sync();
  EXPECT_EQ(fixture.port->info().vrings_named, 2u);
  const auto ready = fixture.events.until<VringReady>();
  EXPECT_EQ(ready.index, 0);
  EXPECT_TRUE(ready.ready);
  EXPECT_FALSE(state(0).started);
  EXPECT_EQ(fixture.port->vring(0).size(), machine.ring(0).driver.size());
  fixture.port->look_at_placement();
  EXPECT_EQ(fixture.port->vring(0).placement().ring.absent, 0u) << "its pages are looked at before it starts";
  EXPECT_NE(fixture.port->vring(0).placement().ring, NodeHistogram());
  must(machine.front_end().get_vring_base(0));
  EXPECT_FALSE(fixture.events.until<VringReady>().ready);
  EXPECT_EQ(fixture.port->vring(0).size(), 0);
  EXPECT_EQ(fixture.port->vring(0).numa_node(), no_node);
}

TEST_F(RingStates, WhatTheDriverPostedCanBeCountedAndWatched) {
  Vring& ring = fixture.port->vring(0);
  EXPECT_EQ(ring.pending(), 0);
  EXPECT_EQ(ring.avail_watch().index, nullptr);
  start(0);
  const AvailWatch watch = ring.avail_watch();
  ASSERT_NE(watch.index, nullptr);
  EXPECT_EQ(*watch.index, watch.seen);
  machine.ring(0).driver.chain().writable(64).publish();
  EXPECT_EQ(ring.pending(), 1);
  EXPECT_NE(*watch.index, watch.seen);
  if (machine.ring(0).driver.kind() != virtqueue::RingKind::split) return;
  machine.ring(0).driver.set_avail_index(1000);
  EXPECT_EQ(ring.pending(), 0) << "more than the ring has entries: a lie, which the next burst finds";
  EXPECT_EQ(ring.count(VringCounter::packets), 0u);
}

TEST_F(RingStates, GetVringBaseOfARingThatNeverStartedIsItsBase) {
  machine.configure_ring(0, 1234);
  EXPECT_EQ(must(machine.front_end().get_vring_base(0)), 1234u);
  EXPECT_EQ(fixture.events.rest().find("vring_stopped"), std::string::npos);
}

TEST_F(RingStates, AStoppedRingStartsOnlyWithANewKickDescriptor) {
  start(0);
  must(machine.front_end().get_vring_base(0));
  machine.kick(0);
  machine.sync();
  machine.sync();
  EXPECT_FALSE(state(0).started);
  machine.send_fds(0);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
}

TEST_F(RingStates, ACallDescriptorForARunningRingIsSignalledAtOnceAndStopsNothing) {
  start(0);
  machine.sync();
  machine.ring(0).call.drain();
  const EventFd other = must(EventFd::create());
  must(machine.front_end().set_vring_fd(Request::set_vring_call, 0, other.get()));
  EXPECT_TRUE(signalled(other));
  EXPECT_FALSE(machine.ring(0).call.drain());
  EXPECT_TRUE(state(0).started);
  EXPECT_EQ(fixture.events.rest().find("vring_stopped"), std::string::npos);
}

TEST_F(RingStates, TheCallDescriptorMayBeTakenAway) {
  start(0);
  must(machine.front_end().set_vring_fd(Request::set_vring_call, 0, -1));
  must(machine.front_end().set_vring_fd(Request::set_vring_err, 0, -1));
  machine.sync();
  EXPECT_TRUE(state(0).started);
}

TEST_F(RingStates, AnotherKickDescriptorForARunningRingIsExposed) {
  start(0);
  fixture.events.rest();
  const EventFd other = must(EventFd::create());
  must(machine.front_end().set_vring_fd(Request::set_vring_kick, 0, other.get()));
  machine.sync();
  // That is how the application learns that the descriptor before is closed.
  fixture.events.until<VringStopped>();
  fixture.events.until<VringStarted>();
  EXPECT_TRUE(state(0).started);
  other.signal();
  EXPECT_EQ(read_kick(*fixture.port, 0), 1u);
}

TEST_F(RingStates, EnablingIsSeenAndSaidOnce) {
  start(0);
  fixture.events.rest();
  machine.enable(0, false);
  const auto event = fixture.events.until<VringEnabled>();
  EXPECT_EQ(event.index, 0);
  EXPECT_FALSE(event.enabled);
  EXPECT_FALSE(state(0).enabled);
  machine.enable(0, false);
  machine.sync();
  EXPECT_EQ(fixture.events.rest(), "");
}

TEST_F(RingStates, EnableTakesOnlyZeroAndOne) {
  EXPECT_NE(machine.status_of(Request::set_vring_enable, protocol::VringState{0, 2}), 0u);
}

TEST_F(RingStates, SizeAndBaseOfARunningRingAreRefused) {
  start(0);
  EXPECT_NE(machine.status_of(Request::set_vring_num, protocol::VringState{0, 128}), 0u);
  EXPECT_NE(machine.status_of(Request::set_vring_base, protocol::VringState{0, 3}), 0u);
  EXPECT_TRUE(state(0).started);
}

TEST_F(RingStates, AddressesOfARunningRingMayBeRepeatedAndNotChanged) {
  start(0);
  VringAddress address = machine.addresses(0);
  address.flags = vring_log;
  EXPECT_EQ(machine.status_of(Request::set_vring_addr, address), 0u);
  address.descriptor += 16;
  EXPECT_NE(machine.status_of(Request::set_vring_addr, address), 0u);
  EXPECT_TRUE(state(0).started);
}

TEST_F(RingStates, RingSizesAreCheckedAndTheOldOneStays) {
  VHOSTX_SPLIT_RINGS_ONLY;
  for (const std::uint32_t size : {0u, 3u, 255u, 65536u, 0x8000'0000u, ~0u})
    EXPECT_NE(machine.status_of(Request::set_vring_num, protocol::VringState{0, size}), 0u) << size;
  start(0);
}

TEST_F(RingStates, IndicesBeyondTheLastRingAreRefused) {
  for (const std::uint32_t index : {2u, 257u, 0x10000u, 0xffff'0000u, ~0u})
    EXPECT_NE(machine.status_of(Request::set_vring_num, protocol::VringState{index, 64}), 0u) << index;
  EXPECT_NE(machine.status_of(Request::set_vring_kick, U64{2 | vring_no_fd}), 0u);
}

TEST_F(RingStates, ARingThatDoesNotLieInMemoryIsRefusedAtItsKickDescriptor) {
  VringAddress address = machine.addresses(0);
  address.used = 0x7777'0000;
  EXPECT_EQ(machine.status_of(Request::set_vring_addr, address), 0u);
  EXPECT_NE(machine.status_of(Request::set_vring_kick, U64{0 | vring_no_fd}), 0u);
  machine.configure_ring(0);
  start(0);
}

TEST_F(RingStates, OnlyEventfdsAreTaken) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const UniqueFd in(pipe_ends[0]);
  const UniqueFd out(pipe_ends[1]);
  for (const Request request : {Request::set_vring_kick, Request::set_vring_call, Request::set_vring_err}) {
    Message message = make_request(request, U64{0}, true);
    message.add_fd(duplicate(out.get()));
    EXPECT_NE(must(machine.front_end().acknowledged(std::move(message))), 0u);
  }
  start(0);
}

// QEMU sets NEED_REPLY on all three since 11.1.
TEST_F(RingStates, EventfdsAreAcknowledgedWhereThatIsAskedFor) {
  for (const Request request : {Request::set_vring_call, Request::set_vring_err, Request::set_vring_kick}) {
    const auto with_fd = [&](std::uint64_t number) {
      Message message = make_request(request, U64{number}, true);
      message.add_fd(duplicate(machine.ring(0).kick.get()));
      return must(machine.front_end().acknowledged(std::move(message)));
    };
    EXPECT_EQ(with_fd(0), 0u) << row_of(request).name;
    EXPECT_EQ(machine.status_of(request, U64{1 | vring_no_fd}), 0u) << row_of(request).name;
    EXPECT_EQ(with_fd(2), 1u) << row_of(request).name << " of a vring that is not there";
    EXPECT_EQ(machine.status_of(request, U64{2 | vring_no_fd}), 1u) << row_of(request).name;
  }
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 1) << "which has no kick descriptor";
}

TEST_F(RingStates, AKickDescriptorOfARingWithoutAddressesIsRefused) {
  must(machine.front_end().send(make_request(Request::reset_device)));
  machine.negotiate();
  Message message = make_request(Request::set_vring_kick, U64{0}, true);
  message.add_fd(duplicate(machine.ring(0).kick.get()));
  EXPECT_EQ(must(machine.front_end().acknowledged(std::move(message))), 1u);
}

// Without REPLY_ACK nobody can be told: the connection ends.
TEST(RingStatesWithoutAcknowledgements, AWrongEventfdEndsTheConnection) {
  for (const Request request : {Request::set_vring_call, Request::set_vring_err, Request::set_vring_kick}) {
    PortFixture fixture;
    FakeMachine machine{fixture.options.socket_path};
    machine.negotiate(usual_features, {ProtocolFeature::mq});
    machine.send_memory();
    machine.configure_ring(0);
    Message message = make_request(request, U64{0});
    message.add_fd(machine.guest().file(0));
    must(machine.front_end().send(std::move(message)));
    EXPECT_NE(fixture.events.until<FrontEndDisconnected>().reason.message.find(row_of(request).name),
              std::string::npos);
  }
}

TEST_F(RingStates, ResetOwnerDisablesTheRings) {
  start(0);
  must(machine.front_end().send(make_request(Request::reset_owner)));
  machine.sync();
  EXPECT_TRUE(state(0).started);
  EXPECT_FALSE(state(0).enabled);
}

TEST_F(RingStates, ResetDeviceStopsAndForgetsTheRingsAndKeepsTheMemory) {
  start(0);
  EXPECT_EQ(machine.status_of(make_request(Request::reset_device, true)), 0u);
  EXPECT_FALSE(state(0).started);
  EXPECT_FALSE(state(0).enabled);
  EXPECT_EQ(fixture.port->info().features, 0u);
  EXPECT_EQ(fixture.port->info().memory_regions, 1u);
  machine.negotiate();
  machine.configure_ring(0);
  start(0);
}

TEST_F(RingStates, StatusZeroResetsAndOtherStatusesAreKept) {
  start(0);
  EXPECT_EQ(machine.status_of(Request::set_status, U64{0x0f}), 0u);
  EXPECT_EQ(must(machine.front_end().get_u64(Request::get_status)), 0x0fu);
  EXPECT_EQ(machine.status_of(Request::set_status, U64{0}), 0u);
  EXPECT_FALSE(state(0).started);
  EXPECT_EQ(machine.status_of(Request::set_status, U64{0x0b}), 0u);
  // No SET_FEATURES since the reset: FEATURES_OK (8) is not shown.
  EXPECT_EQ(must(machine.front_end().get_u64(Request::get_status)), 0x03u);
  EXPECT_NE(machine.status_of(Request::set_status, U64{0x100}), 0u);
}

// The oldest front-ends know no protocol features: their rings are enabled from the start.
TEST(RingStatesOldFrontEnd, RingsAreEnabledWithoutProtocolFeatures) {
  PortFixture fixture;
  FakeMachine machine{fixture.options.socket_path};
  must(machine.front_end().set_u64(Request::set_features, usual_features.bits()));
  machine.send_memory();
  machine.configure_ring(1);
  machine.send_fds(1);
  machine.kick(1);
  fixture.events.until<VringStarted>();
  EXPECT_TRUE(fixture.port->vring(1).state().enabled);
}

TEST(RingStatesOldFrontEnd, TheKickMayComeBeforeMemoryAndFeatures) {
  PortFixture fixture;
  FakeMachine machine{fixture.options.socket_path};
  machine.kick(0);
  machine.configure_ring(0);
  machine.send_fds(0);
  machine.send_memory();
  machine.sync();
  EXPECT_FALSE(fixture.port->vring(0).state().started);
  must(machine.front_end().set_u64(Request::set_features, usual_features.bits()));
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
}

}  // namespace
}  // namespace vhostx::test
