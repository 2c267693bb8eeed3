// SPDX-License-Identifier: BSD-3-Clause
// What a session answers, acknowledges and refuses, and what a refusal costs.
#include <mutex>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "backend/connection/unix_socket.hpp"
#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

struct SessionTest : ::testing::Test {
  FakeFrontEnd& front_end() { return machine.front_end(); }
  Error disconnected() { return fixture.events.until<FrontEndDisconnected>().reason; }

  PortFixture fixture;
  FakeMachine machine{fixture.options.socket_path};
};

TEST_F(SessionTest, AnswersWhatItOffers) {
  const FeatureSet features(must(front_end().get_u64(Request::get_features)));
  EXPECT_TRUE(features.has_all({VirtioFeature::version_1, VirtioFeature::net_mrg_rxbuf, VirtioFeature::event_idx,
                                VirtioFeature::vhost_user_protocol_features, VirtioFeature::net_host_tso4,
                                VirtioFeature::vhost_log_all}));
  EXPECT_TRUE(features.has(VirtioFeature::ring_packed));
  EXPECT_FALSE(features.has(VirtioFeature::iommu_platform));
  const ProtocolFeatureSet protocol(must(front_end().get_u64(Request::get_protocol_features)));
  EXPECT_TRUE(protocol.has_all(usual_protocol_features));
  EXPECT_TRUE(protocol.has(ProtocolFeature::log_shmfd));
  EXPECT_FALSE(protocol.has(ProtocolFeature::inflight_shmfd));
  EXPECT_FALSE(protocol.has(ProtocolFeature::config));
  EXPECT_EQ(must(front_end().get_u64(Request::get_queue_num)), 1u);
  machine.negotiate();
  EXPECT_EQ(must(front_end().get_u64(Request::get_max_mem_slots)), 512u);
}

// Bits that only work where the front-end does its part; it is the application that knows whether.
TEST(Session, TakesOnlyWhenAskedForWhatFewFrontEndsServe) {
  const auto acknowledgement = [](std::uint64_t features_extra) {
    PortFixture fixture([&](PortOptions& options) { options.features_extra = features_extra; });
    FakeMachine machine(fixture.options.socket_path);
    machine.negotiate();
    return machine.status_of(Request::set_features,
                             U64{(usual_features | FeatureSet{VirtioFeature::ring_reset}).bits()});
  };
  EXPECT_NE(acknowledgement(0), 0u);
  EXPECT_NE(acknowledgement(FeatureSet{VirtioFeature::in_order}.bits()), 0u);
  EXPECT_EQ(acknowledgement(FeatureSet{VirtioFeature::ring_reset}.bits()), 0u);
}

TEST(Session, ServesOnlyWhenAskedForWhatFewFrontEndsSend) {
  PortFixture fixture([](PortOptions& options) { options.protocol_features_extra = 0; });
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  for (const Request request : {Request::reset_device, Request::set_backend_req_fd}) {
    Message message = make_request(request, true);
    if (request == Request::set_backend_req_fd) message.add_fd(duplicate(machine.ring(0).kick.get()));
    EXPECT_NE(must(machine.front_end().acknowledged(std::move(message))), 0u);
  }
}

TEST_F(SessionTest, InfoSaysWhatWasAgreed) {
  machine.negotiate();
  machine.send_memory();
  EXPECT_EQ(machine.status_of(Request::net_set_mtu, U64{9000}), 0u);
  const PortInfo info = fixture.port->info();
  EXPECT_TRUE(info.connected);
  EXPECT_EQ(info.connections, 1u);
  EXPECT_EQ(info.features, front_end().features().bits());
  EXPECT_EQ(info.protocol_features, usual_protocol_features.bits());
  EXPECT_EQ(info.memory_regions, 1u);
  EXPECT_EQ(info.mtu, 9000);
  EXPECT_EQ(info.vrings_named, 0u);
  EXPECT_EQ(info.features_offered, Port::offered_features(fixture.options));
  front_end().disconnect();
  disconnected();
  EXPECT_FALSE(fixture.port->info().connected);
  EXPECT_EQ(fixture.port->info().features, 0u);
}

TEST_F(SessionTest, EventsComeInOrder) {
  std::string names;
  const auto names_until = [&](std::string_view last) {
    for (std::string name; name != last; names += name + " ") name = event_name(fixture.events.next());
  };
  machine.negotiate();
  machine.send_memory();
  for (std::uint16_t ring = 0; ring < machine.ring_count(); ++ring) {
    machine.configure_ring(ring);
    machine.send_fds(ring);
    machine.enable(ring);
    machine.sync();
    machine.kick(ring);
    names_until("vring_started");
  }
  front_end().disconnect();
  names_until("disconnected");
  EXPECT_EQ(names,
            "connected features_negotiated memory_changed vring_ready vring_enabled vring_started vring_ready "
            "vring_enabled vring_started vring_stopped vring_ready vring_stopped vring_ready disconnected ");
}

TEST_F(SessionTest, FeaturesNeverOfferedAreRefused) {
  machine.negotiate();
  const FeatureSet more = front_end().features() | FeatureSet{VirtioFeature::iommu_platform};
  EXPECT_NE(machine.status_of(Request::set_features, U64{more.bits()}), 0u);
  EXPECT_EQ(fixture.port->info().features, front_end().features().bits());
  EXPECT_NE(
      machine.status_of(Request::set_protocol_features,
                        U64{ProtocolFeatureSet{ProtocolFeature::inflight_shmfd, ProtocolFeature::reply_ack}.bits()}),
      0u);
}

TEST_F(SessionTest, WithoutAcknowledgementARefusalEndsTheConnection) {
  must(front_end().set_u64(Request::set_features, std::uint64_t{1} << 33));
  EXPECT_TRUE(front_end().closed_by_peer());
  const Error reason = disconnected();
  EXPECT_EQ(reason.code, ErrorCode::protocol_violation);
  EXPECT_NE(reason.message.find("ACCESS_PLATFORM"), std::string::npos) << reason.message;
}

TEST_F(SessionTest, NeedReplyWithoutReplyAckIsNotAnswered) {
  must(front_end().send(make_request(Request::set_owner, true)));
  machine.sync();  // its reply is the next one
}

TEST_F(SessionTest, FeaturesOfRunningRingsMayBeRepeatedAndNotChanged) {
  machine.bring_up();
  fixture.events.until<VringStarted>();
  EXPECT_EQ(machine.status_of(Request::set_features, U64{front_end().features().bits()}), 0u);
  const FeatureSet other = front_end().features() | FeatureSet{VirtioFeature::event_idx};
  EXPECT_NE(machine.status_of(Request::set_features, U64{other.bits()}), 0u);
  EXPECT_EQ(fixture.port->info().features, front_end().features().bits());
}

TEST_F(SessionTest, UnknownRequestsAreRefused) {
  machine.negotiate();
  for (const std::uint32_t request : {0u, 46u, 77u, 0xffff'ffffu})
    EXPECT_NE(machine.status_of(make_message({request, Header::version_1 | Header::need_reply, 0}, {})), 0u);
  must(front_end().send(make_message({77, Header::version_1, 0}, {})));
  EXPECT_TRUE(front_end().closed_by_peer());
  EXPECT_NE(disconnected().message.find("77"), std::string::npos);
}

TEST_F(SessionTest, RequestsWhoseFeatureWasNotNegotiatedAreRefused) {
  machine.negotiate(usual_features, {ProtocolFeature::reply_ack});
  EXPECT_NE(machine.status_of(Request::set_vring_endian, protocol::VringState{0, 1}), 0u);
  EXPECT_NE(machine.status_of(Request::vring_kick, protocol::VringState{0, 0}), 0u);
  EXPECT_NE(machine.status_of(Request::set_status, U64{1}), 0u);
  EXPECT_NE(machine.status_of(make_request(Request::reset_device, true)), 0u);
  EXPECT_NE(machine.status_of(make_request(Request::postcopy_listen, true)), 0u);
  EXPECT_NE(machine.status_of(Request::iotlb_msg, IotlbMessage{}), 0u);
  Message socket = make_request(Request::gpu_set_socket, true);
  socket.add_fd(duplicate(front_end().fd()));
  EXPECT_NE(must(front_end().acknowledged(std::move(socket))), 0u);
}

TEST_F(SessionTest, ARefusedRequestWithAReplyOfItsOwnEndsTheConnection) {
  machine.negotiate();
  must(front_end().send(make_request(Request::get_status, true)));  // negotiated: fine
  must(front_end().receive_reply());
  must(front_end().send(make_request(Request::get_vring_base, protocol::VringState{99, 0}, true)));
  EXPECT_TRUE(front_end().closed_by_peer());
}

TEST_F(SessionTest, InBandNotificationsNeedTheirTwoCompanions) {
  must(front_end().set_u64(Request::set_protocol_features,
                           ProtocolFeatureSet{ProtocolFeature::inband_notifications}.bits()));
  EXPECT_TRUE(front_end().closed_by_peer());
  EXPECT_NE(disconnected().message.find("INBAND"), std::string::npos);
}

TEST_F(SessionTest, SetLogFdIsTakenAndClosed) {
  machine.negotiate();
  const EventFd log = must(EventFd::create());
  Message message = make_request(Request::set_log_fd, true);
  message.add_fd(duplicate(log.get()));
  EXPECT_EQ(must(front_end().acknowledged(std::move(message))), 0u);
}

TEST_F(SessionTest, MtuIsBounded) {
  machine.negotiate();
  for (const std::uint64_t mtu : {0ull, 67ull, 65536ull, ~0ull})
    EXPECT_NE(machine.status_of(Request::net_set_mtu, U64{mtu}), 0u) << mtu;
  for (const std::uint64_t mtu : {68ull, 1500ull, 65535ull}) {
    EXPECT_EQ(machine.status_of(Request::net_set_mtu, U64{mtu}), 0u) << mtu;
    EXPECT_EQ(fixture.events.until<MtuSet>().mtu, mtu);
  }
}

TEST_F(SessionTest, RarpIsAnEvent) {
  machine.negotiate();
  EXPECT_EQ(machine.status_of(Request::send_rarp, U64{0x0000'0605'0403'0201}), 0u);
  const auto event = fixture.events.until<RarpRequested>();
  EXPECT_EQ(event.mac, (std::array<std::uint8_t, 6>{1, 2, 3, 4, 5, 6}));
}

TEST_F(SessionTest, TheBackEndChannelMustBeASocket) {
  machine.negotiate();
  Message message = make_request(Request::set_backend_req_fd, true);
  message.add_fd(duplicate(machine.ring(0).kick.get()));
  EXPECT_NE(must(front_end().acknowledged(std::move(message))), 0u);
}

/// Refused, and the log says what it was and what was expected.
struct BackEndChannelTest : ::testing::Test {
  static UniqueFd socket_of(int family, int type) { return UniqueFd(::socket(family, type | SOCK_CLOEXEC, 0)); }
  static UniqueFd pair_of(int type) {
    int ends[2]{};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    ::close(ends[1]);
    return UniqueFd(ends[0]);
  }
  std::uint64_t status_of(UniqueFd socket) {
    Message message = make_request(Request::set_backend_req_fd, true);
    message.add_fd(std::move(socket));
    return must(machine.front_end().acknowledged(std::move(message)));
  }
  void expect_refused(UniqueFd socket, const std::string& is) {
    ASSERT_TRUE(socket) << is;
    EXPECT_NE(status_of(std::move(socket)), 0u) << is;
    const std::lock_guard guard(lock);
    EXPECT_NE(lines.find("SET_BACKEND_REQ_FD: the descriptor is an " + is +
                         ", expected an AF_UNIX SOCK_STREAM socket that is connected"),
              std::string::npos)
        << lines;
    lines.clear();
  }
  BackendOptions logging() {
    BackendOptions options;
    options.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard guard(lock);
      lines += std::string(line) + "\n";
    };
    return options;
  }

  std::mutex lock;
  std::string lines;
  PortFixture fixture{{}, logging()};
  FakeMachine machine{fixture.options.socket_path};
};

TEST_F(BackEndChannelTest, OtherSocketsAreRefusedByName) {
  machine.negotiate();
  expect_refused(socket_of(AF_INET, SOCK_DGRAM), "AF_INET SOCK_DGRAM socket that is not connected");
  expect_refused(pair_of(SOCK_SEQPACKET), "AF_UNIX SOCK_SEQPACKET socket that is connected");
  expect_refused(pair_of(SOCK_DGRAM), "AF_UNIX SOCK_DGRAM socket that is connected");
  expect_refused(socket_of(AF_UNIX, SOCK_STREAM), "AF_UNIX SOCK_STREAM socket that is not connected");
  auto listening = socket_of(AF_UNIX, SOCK_STREAM);
  ASSERT_EQ(backend::bind_unix(listening.get(), fixture.folder.path("other")), 0);
  ASSERT_EQ(::listen(listening.get(), 1), 0);
  expect_refused(std::move(listening), "AF_UNIX SOCK_STREAM socket that listens");
  EXPECT_EQ(status_of(pair_of(SOCK_STREAM)), 0u);
  machine.sync();
}

// Held by the back-end, the front-end's own end would keep the connection open after the front-end is gone, for ever.
TEST_F(SessionTest, TheBackEndChannelMustNotBeTheConnectionItself) {
  machine.negotiate();
  Message message = make_request(Request::set_backend_req_fd, true);
  message.add_fd(duplicate(front_end().fd()));
  EXPECT_NE(must(front_end().acknowledged(std::move(message))), 0u);
  machine.front_end().disconnect();
  EXPECT_EQ(disconnected().code, ErrorCode::closed);
}

TEST_F(SessionTest, ManyRepetitionsChangeNothing) {
  machine.bring_up();
  for (int i = 0; i < 1000; ++i) {
    machine.enable(0, i % 2 == 0);
    must(front_end().set_vring_fd(Request::set_vring_call, 0, machine.ring(0).call.get()));
  }
  EXPECT_TRUE(fixture.port->vring(0).state().started);
}

// A message that stops in its middle holds up nobody but its own sender, and that for a bounded time.
TEST(SessionTiming, APartialMessageHoldsUpNoOtherPort) {
  PortFixture fixture([](PortOptions& options) { options.message_timeout = std::chrono::milliseconds(300); });
  PortOptions options = fixture.options;
  options.socket_path = fixture.folder.path("other");
  const auto other = must(fixture.backend->open_port(options));
  FakeMachine slow(fixture.options.socket_path);
  FakeMachine quick(options.socket_path);
  const auto bytes = encode(make_request(Request::set_owner));
  must(slow.front_end().send_bytes(std::span(bytes).first(5)));
  quick.bring_up();
  quick.sync();
  EXPECT_EQ(fixture.events.until<FrontEndDisconnected>().reason.code, ErrorCode::timed_out);
  quick.sync();
}

}  // namespace
}  // namespace vhostx::test
