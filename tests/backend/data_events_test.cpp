// SPDX-License-Identifier: BSD-3-Clause
// What the data thread tells the control thread: broken rings, in-band calls; and what the control thread tells it.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/backend/traffic.hpp"
#include "tests/support/eventfd_waiters.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr ProtocolFeatureSet in_band_features{ProtocolFeature::reply_ack, ProtocolFeature::backend_req,
                                              ProtocolFeature::inband_notifications};

struct DataEvents : ::testing::Test {
  DataEvents() { start_eal(); }
  void await_start(int rings = 2) {
    for (int i = 0; i < rings; ++i) fixture.events.until<VringStarted>();
  }
  Vring& from_guest() { return fixture.port->from_guest(); }

  PortFixture fixture{[](PortOptions& options) { options.message_timeout = std::chrono::milliseconds(500); }};
  FakeMachine machine{fixture.options.socket_path};
};

TEST_F(DataEvents, PacketsFlowOnceStarted) {
  machine.bring_up();
  await_start();
  transmit(machine, 3);
  EXPECT_EQ(take_burst(from_guest()), 3);
  EXPECT_EQ(machine.ring(1).driver.reap().size(), 3u);
}

TEST_F(DataEvents, CallsMayBeTheApplicationsToMake) {
  EXPECT_FALSE(from_guest().call_guest());
  from_guest().hold_calls(true);
  machine.bring_up();
  await_start();
  machine.sync();
  const EventFd& call = machine.ring(1).call;
  call.drain();  // of the start
  transmit(machine);
  EXPECT_EQ(take_burst(from_guest()), 1);
  EXPECT_FALSE(call.drain());
  EXPECT_EQ(from_guest().count(VringCounter::calls), 1u);
  EXPECT_TRUE(from_guest().call_guest());
  EXPECT_TRUE(call.drain());
  from_guest().hold_calls(false);
  transmit(machine);
  EXPECT_EQ(take_burst(from_guest()), 1);
  EXPECT_TRUE(call.drain());
}

bool has_thread(const std::string& name) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    if (std::string found; std::getline(file, found) && found == name) return true;
  }
  return false;
}

TEST_F(DataEvents, CallsThatTakeLongAreMadeByAThreadOfTheirOwn) {
  machine.bring_up();
  await_start();
  machine.sync();
  EXPECT_FALSE(has_thread("vhostx-signals"));
  const EventFd& call = machine.ring(1).call;
  const EventfdWaiters waiters(call.get(), 50'000);
  if (!waiters.enough()) GTEST_SKIP() << "fs.epoll.max_user_watches allows no 50,000";
  while (!has_thread("vhostx-signals")) {
    transmit(machine);
    EXPECT_EQ(take_burst(from_guest()), 1);
    machine.ring(1).driver.reap();
  }
  transmit(machine);
  EXPECT_EQ(take_burst(from_guest()), 1);
  while (!signalled(call)) std::this_thread::yield();
}

TEST_F(DataEvents, APacketThatIsLeftHasAReason) {
  Vring& to_guest = fixture.port->to_guest();
  rte_mbuf* packet = rte_pktmbuf_alloc(test_pool());
  std::memset(rte_pktmbuf_append(packet, 1000), 1, 1000);
  EXPECT_EQ(to_guest.enqueue_burst(&packet, 1), 0);
  EXPECT_EQ(to_guest.enqueue_end(), EnqueueEnd::not_running);
  machine.bring_up();
  await_start();
  EXPECT_EQ(to_guest.enqueue_burst(&packet, 1), 0);
  EXPECT_EQ(to_guest.enqueue_end(), EnqueueEnd::no_buffers);
  machine.ring(0).driver.chain().writable(600).publish();
  EXPECT_EQ(to_guest.enqueue_burst(&packet, 1), 0);
  EXPECT_EQ(to_guest.enqueue_end(), EnqueueEnd::few_buffers);
  EXPECT_EQ(to_guest.stats()[VringCounter::stall_few_buffers], 1U);
  machine.ring(0).driver.chain().writable(600).publish();
  EXPECT_EQ(to_guest.enqueue_burst(&packet, 1), 1);
  machine.enable(0, false);
  machine.sync();
  EXPECT_EQ(to_guest.enqueue_burst(&packet, 1), 0);
  EXPECT_EQ(to_guest.enqueue_end(), EnqueueEnd::not_running);
  rte_pktmbuf_free(packet);
}

TEST_F(DataEvents, ADisabledTransmitRingIsConsumedAndDropped) {
  machine.bring_up();
  await_start();
  machine.enable(1, false);
  machine.sync();
  transmit(machine, 3);
  EXPECT_EQ(take_burst(from_guest()), 0);
  EXPECT_EQ(machine.ring(1).driver.reap().size(), 3u);
  EXPECT_EQ(from_guest().stats()[VringCounter::drop_disabled], 3u);
}

TEST_F(DataEvents, TheGuestGoesOnWhereItWasAfterStopAndStart) {
  machine.bring_up();
  await_start();
  transmit(machine, 5);
  EXPECT_EQ(take_burst(from_guest()), 5);
  EXPECT_EQ(must(machine.front_end().get_vring_base(1)), machine.ring(1).driver.base_after(5));
  transmit(machine, 2);
  EXPECT_EQ(take_burst(from_guest()), 0);
  machine.configure_ring(1, machine.ring(1).driver.base_after(5));
  machine.send_fds(1);  // no kick: it was given before
  await_start(1);
  EXPECT_EQ(take_burst(from_guest()), 2);
}

TEST_F(DataEvents, StatusZeroBeforeGetVringBaseLosesNoIndex) {
  machine.bring_up();
  await_start();
  transmit(machine, 5);
  EXPECT_EQ(take_burst(from_guest()), 5);
  EXPECT_EQ(machine.status_of(Request::set_status, U64{0}), 0u);
  EXPECT_EQ(must(machine.front_end().get_vring_base(1)), machine.ring(1).driver.base_after(5));
}

TEST_F(DataEvents, ALyingDriverIsAnEventAndASignalAndStopsNoOtherRing) {
  machine.bring_up();
  await_start();
  machine.sync();
  machine.ring(1).err.drain();
  machine.ring(1).driver.lie();
  EXPECT_EQ(take_burst(from_guest()), 0);
  const auto event = fixture.events.until<VringBroken>();
  EXPECT_EQ(event.index, 1);
  EXPECT_EQ(event.fault.cause, machine.ring(1).driver.lie_cause());
  EXPECT_EQ(event.fault.a, tested_kind() == virtqueue::RingKind::split ? 1000u : 65u);
  EXPECT_TRUE(signalled(machine.ring(1).err));
  EXPECT_TRUE(from_guest().state().broken);
  EXPECT_FALSE(fixture.port->vring(0).state().broken);
  EXPECT_FALSE(from_guest().set_notifications(true));  // nothing to look at: whoever waits must not spin on it

  machine.ring(1).driver.start_anew();
  must(machine.front_end().get_vring_base(1));
  machine.configure_ring(1);
  machine.send_fds(1);
  machine.kick(1);
  await_start(1);
  EXPECT_FALSE(from_guest().state().broken);
}

TEST_F(DataEvents, ARarpFrameComesFirst) {
  machine.bring_up();
  await_start();
  EXPECT_EQ(machine.status_of(Request::send_rarp, U64{0x0605'0403'0201}), 0u);
  EXPECT_EQ(take_burst(from_guest()), 1);
}

TEST_F(DataEvents, ARarpFrameIsNotForTheNextFrontEnd) {
  machine.bring_up();
  await_start();
  EXPECT_EQ(machine.status_of(Request::send_rarp, U64{0x0605'0403'0201}), 0u);
  machine.front_end().disconnect();
  fixture.events.until<FrontEndDisconnected>();
  FakeMachine next{fixture.options.socket_path};
  next.bring_up();
  await_start();
  EXPECT_EQ(take_burst(from_guest()), 0);
}

struct InBand : DataEvents {
  InBand() {
    machine.negotiate(usual_features, in_band_features);
    must(machine.front_end().open_backend_channel());
    machine.send_memory();
    machine.configure_ring(1);
    machine.enable(1);
    must(machine.front_end().set_vring_fd(Request::set_vring_kick, 1, -1));
    machine.sync();
  }
  void kick_in_band() { must(machine.front_end().set_vring(Request::vring_kick, 1, 0)); }
  void start_in_band() {
    kick_in_band();
    await_start(1);
  }
  std::uint32_t expect_request(BackEndRequest request) {
    Message message = must(machine.front_end().receive_backend_request());
    EXPECT_EQ(message.back_end_request(), request);
    EXPECT_TRUE(message.needs_reply());
    last = message.header();
    return must(message.payload_as<protocol::VringState>()).index;
  }
  void acknowledge() { must(machine.front_end().reply_to_backend(make_ack(last, 0))); }
  bool backend_channel_closed() {
    char byte;
    return ::recv(machine.front_end().backend_fd(), &byte, 1, 0) <= 0;
  }

  Header last;
};

TEST_F(InBand, ARingStartsAtVringKick) {
  EXPECT_FALSE(from_guest().state().started);
  start_in_band();
  EXPECT_TRUE(from_guest().state().started);
}

TEST_F(InBand, AWorkerThatSleepsOnTheKickDescriptorIsWoken) {
  start_in_band();
  EXPECT_GT(read_kick(*fixture.port, 1), 0u);
  kick_in_band();
  machine.sync();
  EXPECT_EQ(read_kick(*fixture.port, 1), 1u);
}

TEST_F(InBand, CallsAreMessagesAndThoseThatRepeatAreOne) {
  start_in_band();
  transmit(machine);
  ASSERT_EQ(take_burst(from_guest()), 1);
  EXPECT_EQ(expect_request(BackEndRequest::vring_call), 1u);
  for (int i = 0; i < 10; ++i) {  // not acknowledged yet: nothing more is sent
    transmit(machine);
    ASSERT_EQ(take_burst(from_guest()), 1);
  }
  machine.sync();
  acknowledge();
  EXPECT_EQ(expect_request(BackEndRequest::vring_call), 1u);
  acknowledge();
  machine.sync();
  machine.sync();
  std::byte none{};
  EXPECT_LT(::recv(machine.front_end().backend_fd(), &none, 1, MSG_DONTWAIT), 0);
}

TEST_F(InBand, ACallDescriptorTakesPrecedence) {
  start_in_band();
  must(machine.front_end().set_vring_fd(Request::set_vring_call, 1, machine.ring(1).call.get()));
  machine.sync();
  machine.ring(1).call.drain();
  transmit(machine);
  ASSERT_EQ(take_burst(from_guest()), 1);
  EXPECT_TRUE(signalled(machine.ring(1).call));
}

TEST_F(InBand, ABrokenRingIsAMessage) {
  start_in_band();
  machine.ring(1).driver.lie();
  take_burst(from_guest());
  EXPECT_EQ(expect_request(BackEndRequest::vring_err), 1u);
  fixture.events.until<VringBroken>();
}

TEST_F(InBand, SilenceClosesTheChannelAndNotThePort) {
  start_in_band();
  transmit(machine);
  ASSERT_EQ(take_burst(from_guest()), 1);
  expect_request(BackEndRequest::vring_call);
  EXPECT_TRUE(backend_channel_closed());  // after message_timeout
  machine.sync();
  EXPECT_TRUE(from_guest().state().started);
}

TEST_F(InBand, RubbishClosesTheChannelAndNotThePort) {
  start_in_band();
  const std::array<std::uint8_t, 64> rubbish{0xff, 0xff, 0xff, 0xff};
  ASSERT_EQ(::send(machine.front_end().backend_fd(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL), 64);
  EXPECT_TRUE(backend_channel_closed());
  machine.sync();
  transmit(machine);
  EXPECT_EQ(take_burst(from_guest()), 1);
}

TEST_F(InBand, AnAnswerThatNobodyWaitsForClosesTheChannel) {
  must(machine.front_end().reply_to_backend(make_ack(make_request(BackEndRequest::vring_call).header(), 0)));
  EXPECT_TRUE(backend_channel_closed());
  machine.sync();
}

}  // namespace
}  // namespace vhostx::test
