// SPDX-License-Identifier: BSD-3-Clause
// Descriptors that take long to close: nobody waits for them but who has sent them.
#include <array>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "protocol/socket_io.hpp"
#include "tests/backend/port_fixture.hpp"
#include "tests/support/silent_files.hpp"
#include "tests/support/slow_releases.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;

// Its own front-ends, and no other port's.
TEST(ServerRole, FrontEndsAreTurnedAwayWhileTooManyDescriptorsHang) {
  SilentFileSystem files;
  if (!files.is_there()) GTEST_SKIP() << "skipped: no FUSE file system can be mounted here";
  PortFixture fixture;
  const std::string& path = fixture.options.socket_path;
  PortOptions other_options;
  other_options.socket_path = fixture.folder.path("other");
  const auto other = must(fixture.backend->open_port(other_options));
  const UniqueFd file = files.open_file();
  ASSERT_TRUE(file);
  files.fall_silent();
  FdList eight;  // ours hang as well when they are closed: they stay until the end
  while (eight.size() < fds_max) eight.add(duplicate(file.get()));
  for (int i = 0; i < 2; ++i) {
    auto front_end = must(FakeFrontEnd::connect(path));
    must(front_end.send_bytes(std::array<std::byte, 1>{}, eight));
    const Error reason = fixture.events.until<FrontEndDisconnected>().reason;
    EXPECT_NE(reason.message.find("file system"), std::string::npos) << reason.message;
  }
  while (files.unanswered().size() < Releases::held_up_max) std::this_thread::yield();
  EXPECT_GE(fixture.port->info().releases_pending, 16U);
  while (!must(FakeFrontEnd::connect(path)).closed_by_peer()) {
  }
  must(must(FakeFrontEnd::connect(other_options.socket_path)).get_u64(FrontEndRequest::get_features));
  EXPECT_EQ(other->info().connections, 1U);
  files.end();
  while (fixture.port->info().releases_pending != 0) std::this_thread::yield();
  must(must(FakeFrontEnd::connect(path)).get_u64(FrontEndRequest::get_features));
}

/// A port whose front-end leaves a descriptor that nobody can close soon, and another port, which must not notice.
struct SlowRelease : ::testing::Test {
  SlowRelease() {
    other_options.socket_path = fixture.folder.path("other");
    other = must(fixture.backend->open_port(other_options));
    neighbour.emplace(must(FakeFrontEnd::connect(other_options.socket_path)));
    front_end.emplace(must(FakeFrontEnd::connect(fixture.options.socket_path)));
  }
  // Ten minutes are longer than this test may take.
  void expect_nobody_waits() {
    while (fixture.port->info().releases_pending == 0) must(neighbour->get_u64(FrontEndRequest::get_features));
    for (int i = 0; i < 100; ++i) must(neighbour->get_u64(FrontEndRequest::get_features));
    EXPECT_EQ(other->info().releases_pending, 0U);
    front_end.reset();
    must(must(FakeFrontEnd::connect(fixture.options.socket_path)).get_u64(FrontEndRequest::get_features));
    slow.let_go();
    while (fixture.port->info().releases_pending != 0) std::this_thread::yield();
  }
  // The first byte brings `fd`, whose other holders are gone before the rest comes: the back-end's is the last.
  void send(FrontEndRequest request, UniqueFd fd) { send(make_request(request), std::move(fd)); }
  void send(const Message& message, UniqueFd fd) {
    const auto bytes = encode(message);
    FdList one;
    one.add(std::move(fd));
    must(front_end->send_bytes(std::span(bytes).first(1), one));
    one.clear();
    must(front_end->send_bytes(std::span(bytes).subspan(1)));
  }

  PortFixture fixture;
  PortOptions other_options;
  std::unique_ptr<Port> other;
  std::optional<FakeFrontEnd> neighbour;
  std::optional<FakeFrontEnd> front_end;
  LingeringSocket slow;
};

TEST_F(SlowRelease, OfAMessageThatIsTaken) {
  send(FrontEndRequest::set_log_fd, slow.take());
  expect_nobody_waits();
}

TEST_F(SlowRelease, OfAMessageWithNoPlaceForIt) {
  send(FrontEndRequest::get_features, slow.take());
  expect_nobody_waits();
}

TEST_F(SlowRelease, QueuedInASocketThatIsSent) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const UniqueFd inner(pair[0]);
  UniqueFd outer(pair[1]);
  FdList one;
  one.add(slow.take());
  ASSERT_EQ(transmit(inner.get(), std::array<std::byte, 1>{}, one, Blocking::no).bytes, 1U);
  one.clear();
  send(FrontEndRequest::set_log_fd, std::move(outer));
  expect_nobody_waits();
}

/// More than may wait: 64, and 4 for each of the 2 vrings.
struct ManySlowReleases : SlowRelease {
  static constexpr std::uint32_t pending_max = 64 + 4 * 2;
  // Each is refused, and the connection goes on.
  void send_all() {
    must(front_end->negotiate(usual_features, usual_protocol_features));
    for (LingeringSocket& socket : sockets)
      send(make_request(FrontEndRequest::set_vring_kick, U64{0}, true), socket.take());
  }
  void let_all_go() {
    for (LingeringSocket& socket : sockets) socket.let_go();
  }

  std::vector<LingeringSocket> sockets{pending_max + 16};
};

TEST_F(ManySlowReleases, AreReadAndNewcomersSeenWhenThereIsRoom) {
  send_all();
  while (fixture.port->info().releases_pending <= pending_max) must(neighbour->get_u64(FrontEndRequest::get_features));
  auto newcomer = must(FakeFrontEnd::connect(fixture.options.socket_path));
  for (int i = 0; i < 100; ++i) must(neighbour->get_u64(FrontEndRequest::get_features));
  char byte = 0;
  EXPECT_EQ(::recv(newcomer.fd(), &byte, 1, MSG_DONTWAIT), -1) << "turned away already";
  EXPECT_EQ(fixture.port->info().releases_pending, pending_max + 1);
  EXPECT_EQ(fixture.port->info().connections, 1U);
  let_all_go();
  EXPECT_TRUE(newcomer.closed_by_peer()) << "there is a front-end";
  for (std::size_t i = 0; i < sockets.size(); ++i)
    EXPECT_EQ(must(must(front_end->receive_reply()).payload_as<U64>()).value, 1U);
  while (fixture.port->info().releases_pending != 0) std::this_thread::yield();
}

TEST_F(ManySlowReleases, OfWhichNoneGetsOnEndTheConnection) {
  send_all();
  const Error reason = fixture.events.until<FrontEndDisconnected>().reason;
  EXPECT_NE(
      reason.message.find("none of the 73 descriptors and mappings that wait to be released was released for 5 s"),
      std::string::npos)
      << reason.message;
  EXPECT_TRUE(front_end->closed_by_peer());
  must(neighbour->get_u64(FrontEndRequest::get_features));
  let_all_go();
  while (fixture.port->info().releases_pending != 0) std::this_thread::yield();
  must(must(FakeFrontEnd::connect(fixture.options.socket_path)).get_u64(FrontEndRequest::get_features));
}

}  // namespace
}  // namespace vhostx::test
