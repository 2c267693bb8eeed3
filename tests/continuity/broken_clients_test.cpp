// SPDX-License-Identifier: BSD-3-Clause
// Clients that break the keeper's protocol, that are too many, or another user's.
#include <array>
#include <grp.h>
#include <poll.h>
#include <span>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "continuity/packet_socket.hpp"
#include "keeper_fixture.hpp"

namespace vhostx::continuity {
namespace {

using Kind = KeeperEvent::Kind;

class BrokenClients : public KeeperTest {
 protected:
  BrokenClients() : keeper_(options()) {}

  UniqueFd connect() const {
    auto socket = make_packet_socket().value();
    EXPECT_EQ(connect_to_path(socket.get(), path_), 0);
    return socket;
  }
  UniqueFd greeted() const {
    auto socket = connect();
    say(socket, encode(Tagged<Request>{1, Hello{}}));
    EXPECT_TRUE(std::holds_alternative<Welcome>(hear(socket)));
    return socket;
  }
  static void say(const UniqueFd& socket, std::span<const std::byte> packet, std::span<const int> fds = {}) {
    EXPECT_EQ(send_packet(socket.get(), packet, fds), 0);
  }
  /// WELCOME, FAILED, ..., or LIST_END for the end of the connection.
  static Reply hear(const UniqueFd& socket) {
    pollfd one{socket.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&one, 1, static_cast<int>(std::chrono::milliseconds(generous).count())), 1);
    std::array<std::byte, packet_bytes_max> packet;
    std::vector<UniqueFd> fds;
    const auto got = receive_packet(socket.get(), packet, fds);
    if (got.bytes == 0) return ListEnd{};
    return decode_reply(std::span(packet).first(got.bytes), fds.size()).value().body;
  }
  void expect_end(const UniqueFd& socket, const std::string& reason) {
    EXPECT_EQ(keeper_.wait_for(Kind::ended).reason, reason);
    while (!std::holds_alternative<ListEnd>(hear(socket))) {
    }
    auto other = client();
    EXPECT_TRUE(other.claim("port", ClaimHow::now).ok());
    other = client();
    keeper_.wait_for(Kind::ended);
  }

  KeeperThread keeper_;
};

TEST_F(BrokenClients, AnUnknownPacket) {
  const auto socket = greeted();
  const std::array<std::byte, 8> packet{std::byte{99}};
  say(socket, packet);
  const auto reply = hear(socket);
  ASSERT_TRUE(std::holds_alternative<Failed>(reply));
  EXPECT_EQ(std::get<Failed>(reply).text, "a packet has the unknown type 99");
  expect_end(socket, "a packet has the unknown type 99");
}

TEST_F(BrokenClients, APacketOfNoBytes) {
  const auto socket = greeted();
  say(socket, {});
  expect_end(socket, "it has closed its end");
}

TEST_F(BrokenClients, APacketThatIsTooLong) {
  const auto socket = greeted();
  say(socket, std::vector<std::byte>(packet_bytes_max + 1));
  expect_end(socket, "it sent a packet of more than 8704 bytes");
}

TEST_F(BrokenClients, NoHello) {
  const auto socket = connect();
  say(socket, encode(Tagged<Request>{1, List{}}));
  expect_end(socket, "its first packet is not HELLO");
}

TEST_F(BrokenClients, HelloTwice) {
  const auto socket = greeted();
  say(socket, encode(Tagged<Request>{1, Hello{}}));
  expect_end(socket, "it sent HELLO twice");
}

TEST_F(BrokenClients, AnotherVersion) {
  const auto socket = connect();
  say(socket, encode(Tagged<Request>{1, Hello{7}}));
  const auto reply = hear(socket);
  ASSERT_TRUE(std::holds_alternative<Failed>(reply));
  EXPECT_EQ(std::get<Failed>(reply).code, ErrorCode::unsupported);
  expect_end(socket, "the client speaks version 7, the keeper version 2");
}

TEST_F(BrokenClients, DescriptorsThatNobodyAskedFor) {
  const auto before = open_descriptors();
  const auto file = memory_file();
  for (int round = 0; round < 100; ++round) {
    const auto socket = greeted();
    const std::vector<int> many(granted_fds_max, file.get());
    say(socket, encode(Tagged<Request>{1, Hold{"port", 0}}), many);
    EXPECT_EQ(keeper_.wait_for(Kind::ended).reason, "HOLD: 16 descriptors came, expected 1");
  }
  expect_open_descriptors(before + 1);  // `file`
}

TEST_F(BrokenClients, AnswersThatAreNotRead) {
  auto owner = client();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(owner.claim(std::string(100, 'x') + std::to_string(i), ClaimHow::now).ok());
  const auto socket = greeted();
  const auto list = encode(Tagged<Request>{1, List{}});
  while (send_packet(socket.get(), list, {}) == 0) {
  }
  EXPECT_TRUE(owner.list().ok());  // others are served
  EXPECT_EQ(owner.list()->size(), 100u);
}

TEST_F(BrokenClients, TheirOwnEndIsNotHeld) {
  const auto socket = greeted();
  say(socket, encode(Tagged<Request>{2, Claim{"port"}}));
  EXPECT_TRUE(std::holds_alternative<Granted>(hear(socket)));
  say(socket, encode(Tagged<Request>{3, Hold{"port", 1}}), std::array{socket.get()});
  const auto reply = hear(socket);
  ASSERT_TRUE(std::holds_alternative<Failed>(reply));
  EXPECT_EQ(std::get<Failed>(reply).text, "the descriptor is a client's end of a connection to this keeper");
}

TEST_F(KeeperTest, MoreClientsAreTurnedAway) {
  auto few = options();
  few.limits.clients = 2;
  KeeperThread keeper(few);
  const auto one = client();
  {
    const auto two = client();
    const auto three = KeeperClient::connect(path_, generous);
    ASSERT_FALSE(three.ok());
    EXPECT_EQ(three.error().code, ErrorCode::limit);
    EXPECT_EQ(three.error().message, "the keeper refuses: the keeper has 2 clients, the most");
    EXPECT_EQ(keeper.wait_for(Kind::ended).reason, "there are too many");
  }
  keeper.wait_for(Kind::ended);
  client();
}

TEST_F(KeeperTest, AnotherUserIsTurnedAway) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  KeeperThread keeper(options());
  ASSERT_EQ(::chmod(folder_.path("").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);  // else the kernel refuses already
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    const auto refused = KeeperClient::connect(path_, generous);
    ::_exit(!refused && refused.error().message ==
                            "the keeper refuses: this keeper serves root and the user 0, "
                            "and not the user 65534"
                ? 0
                : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(keeper.wait_for(Kind::ended).reason, "it is another user's");
}

}  // namespace
}  // namespace vhostx::continuity
