// SPDX-License-Identifier: BSD-3-Clause
// A keeper with real clients, some of which are killed, and with some that break the protocol.
#include "continuity/keeper.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <grp.h>
#include <poll.h>
#include <span>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "continuity/packet_socket.hpp"
#include "keeper_fixture.hpp"

namespace vhostx::continuity {
namespace {

using namespace std::chrono_literals;
using Kind = KeeperEvent::Kind;

// A child process's, which lives until it is killed.
KeeperClient& kept_client(const std::string& path) {
  static KeeperClient kept = KeeperClient::connect(path, generous).value();
  return kept;
}

TEST_F(KeeperTest, TheNextClientGetsTheSameFiles) {
  KeeperThread keeper(options());
  auto old = client();
  ASSERT_TRUE(old.claim("port", ClaimHow::now)->empty());
  const auto file = memory_file();
  for (std::uint32_t slot = 0; slot < 40; ++slot) ASSERT_TRUE(old.hold("port", slot, file.get()).ok());
  const auto other = memory_file();
  ASSERT_TRUE(old.hold("port", 39, other.get()).ok());
  ASSERT_TRUE(old.drop("port", 3).ok());
  ASSERT_TRUE(old.release("port").ok());
  settle(old);
  const auto slots = client().claim("port", ClaimHow::now);
  ASSERT_TRUE(slots.ok()) << slots.error().message;
  ASSERT_EQ(slots->size(), 39u);
  EXPECT_FALSE(slots->contains(3));
  EXPECT_TRUE(same_file(slots->at(38).get(), file.get()));
  EXPECT_TRUE(same_file(slots->at(39).get(), other.get()));
  EXPECT_EQ(::fcntl(slots->at(0).get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(KeeperTest, AnotherClientsBundleIsRefusedWithItsProcess) {
  KeeperThread keeper(options());
  const ChildProcess owner([this] {
    KeeperClient& kept = kept_client(path_);
    kept.claim("port", ClaimHow::now).value();
  });
  auto other = client();
  const auto refused = other.claim("port", ClaimHow::now);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  EXPECT_NE(refused.error().message.find("pid " + std::to_string(owner.pid())), std::string::npos)
      << refused.error().message;
  const auto file = memory_file();
  ASSERT_TRUE(other.hold("port", 0, file.get()).ok());
  const auto failed = next<FailedEvent>(other);
  EXPECT_EQ(failed.request, PacketType::hold);
  EXPECT_EQ(failed.name, "port");
  EXPECT_EQ(failed.error.code, ErrorCode::busy);
}

TEST_F(KeeperTest, WhoStandsByIsGrantedWhenTheOwnerIsKilled) {
  KeeperThread keeper(options());
  const auto file = memory_file();
  ChildProcess owner([&] {
    KeeperClient& kept = kept_client(path_);
    kept.claim("port", ClaimHow::now).value();
    static_cast<void>(kept.hold("port", 5, file.get()));
  });
  auto standby = client();
  ASSERT_TRUE(standby.stand_by("port", ClaimHow::stand_by).ok());
  settle(standby);
  EXPECT_FALSE(*standby.next_event());
  owner.kill();
  const auto granted = next<GrantedEvent>(standby);
  EXPECT_EQ(granted.name, "port");
  ASSERT_EQ(granted.slots.size(), 1u);
  EXPECT_TRUE(same_file(granted.slots.at(5).get(), file.get()));
}

// The keeper may get the new process's claim before it has seen the end of the old one's connection.
TEST_F(KeeperTest, AProcessThatFollowsAKilledOneIsGrantedAtOnce) {
  KeeperThread keeper(options());
  const auto file = memory_file();
  for (std::uint32_t round = 0; round < 100; ++round) {
    ChildProcess owner([&] {
      KeeperClient& kept = kept_client(path_);
      kept.claim("port", ClaimHow::now).value();
      static_cast<void>(kept.hold("port", round, file.get()));
    });
    owner.kill();
    const auto slots = client().claim("port", ClaimHow::now);
    ASSERT_TRUE(slots.ok()) << slots.error().message;
    ASSERT_EQ(slots->size(), round + 1);
  }
}

// The kernel reports ECONNRESET before what a process sent that had not read everything itself.
TEST_F(KeeperTest, WhatWasSentCountsThoughItsSenderIsKilled) {
  KeeperThread keeper(options());
  const auto file = memory_file();
  const auto go = EventFd::create().value();
  ChildProcess owner([&] { kept_client(path_).claim("port", ClaimHow::now).value(); },
                     [&] {
                       pollfd one{go.get(), POLLIN, 0};
                       ::poll(&one, 1, -1);
                       for (std::uint32_t slot = 0; slot < 200; ++slot)
                         static_cast<void>(kept_client(path_).hold("port", slot, file.get()));
                       ::kill(::getpid(), SIGKILL);
                     });
  auto asker = client();
  ASSERT_TRUE(asker.stand_by("port", ClaimHow::hand_over).ok());
  settle(asker);  // YIELD is there, and is not read
  go.signal();
  EXPECT_EQ(next<GrantedEvent>(asker).slots.size(), 200u);
}

TEST_F(KeeperTest, AHandOverIsAskedForAndGranted) {
  KeeperThread keeper(options());
  auto old = client();
  ASSERT_TRUE(old.claim("port", ClaimHow::now).ok());
  const auto file = memory_file();
  ASSERT_TRUE(old.hold("port", 1, file.get()).ok());
  auto granted = std::async(std::launch::async, [this] {
    auto fresh = client();
    return fresh.claim("port", ClaimHow::hand_over, generous);
  });
  EXPECT_EQ(next<YieldEvent>(old).name, "port");
  ASSERT_TRUE(old.release("port").ok());
  const auto slots = granted.get();
  ASSERT_TRUE(slots.ok()) << slots.error().message;
  EXPECT_EQ(slots->size(), 1u);
}

TEST_F(KeeperTest, AHandOverThatIsNotDoneInTimeIsGivenUp) {
  KeeperThread keeper(options());
  auto old = client();
  ASSERT_TRUE(old.claim("port", ClaimHow::now).ok());
  auto fresh = client();
  const auto late = fresh.claim("port", ClaimHow::hand_over, 1ms);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::timed_out);
  EXPECT_EQ(next<YieldEvent>(old).name, "port");
  ASSERT_TRUE(old.release("port").ok());
  settle(old);
  EXPECT_TRUE(fresh.claim("port", ClaimHow::now).ok());  // the connection goes on
}

TEST_F(KeeperTest, StandingByIsCancelledOrWasGranted) {
  KeeperThread keeper(options());
  auto old = client();
  auto fresh = client();
  ASSERT_TRUE(old.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(fresh.stand_by("port", ClaimHow::stand_by).ok());
  EXPECT_TRUE(*fresh.cancel("port"));
  EXPECT_FALSE(*fresh.cancel("port"));
  ASSERT_TRUE(fresh.stand_by("port", ClaimHow::stand_by).ok());
  settle(fresh);
  ASSERT_TRUE(old.release("port").ok());
  settle(old);
  EXPECT_FALSE(*fresh.cancel("port"));
  EXPECT_EQ(next<GrantedEvent>(fresh).name, "port");
}

TEST_F(KeeperTest, AFrontEndThatHangsUpEndsOnlyABundleWithoutAnOwner) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("port", front_end_slot, ours.get()).ok());
  ASSERT_EQ(::write(theirs.get(), "last words", 10), 10);  // it waits in the socket
  theirs.reset();
  ASSERT_EQ(owner.list()->size(), 1u);
  EXPECT_EQ(owner.list()->front().slots, std::vector<std::uint32_t>{front_end_slot});
  ASSERT_TRUE(owner.release("port").ok());
  const auto dropped = keeper.wait_for(Kind::dropped);
  EXPECT_EQ(dropped.name, "port");
  EXPECT_EQ(dropped.reason, "its front-end has gone");
  EXPECT_TRUE(owner.list()->empty());
}

TEST_F(KeeperTest, AFrontEndMayHangUpAtAnyLaterTime) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("port", front_end_slot, ours.get()).ok());
  ASSERT_TRUE(owner.release("port").ok());
  ASSERT_EQ(owner.list()->size(), 1u);
  ASSERT_EQ(owner.claim("port", ClaimHow::now)->size(), 1u);
  ASSERT_TRUE(owner.release("port").ok());
  settle(owner);
  theirs.reset();
  EXPECT_EQ(keeper.wait_for(Kind::dropped).reason, "its front-end has gone");
}

TEST_F(KeeperTest, AFrontEndSlotMayHoldAnythingElse) {
  KeeperThread keeper(options());
  auto owner = client();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reads(ends[0]);
  UniqueFd writes(ends[1]);
  const auto file = memory_file();
  for (const int fd : {file.get(), reads.get()}) {
    ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
    ASSERT_TRUE(owner.hold("port", front_end_slot, fd).ok());
    ASSERT_TRUE(owner.release("port").ok());
    writes.reset();
    ASSERT_EQ(owner.list()->size(), 1u);
    EXPECT_EQ(owner.list()->front().front_end_pid, 0u);
  }
}

TEST_F(KeeperTest, TheFrontEndLosesItsConnectionWhenTheGraceTimeEnds) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("port", front_end_slot, ours.get()).ok());
  ASSERT_TRUE(owner.park("port", 20ms).ok());
  ours.reset();
  EXPECT_EQ(keeper.wait_for(Kind::dropped).reason, "nobody claimed it in time");
  pollfd one{theirs.get(), POLLRDHUP, 0};
  ASSERT_EQ(::poll(&one, 1, static_cast<int>(std::chrono::milliseconds(generous).count())), 1);
  EXPECT_NE(one.revents & POLLHUP, 0);
}

TEST_F(KeeperTest, TheListSaysWhoHasWhat) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("b", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("b", front_end_slot, ours.get()).ok());
  ASSERT_TRUE(owner.hold("b", 17, ours.get()).ok());
  ASSERT_TRUE(owner.claim("a", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("a", 1, ours.get()).ok());
  ASSERT_TRUE(owner.park("a", 1h).ok());
  const auto bundles = owner.list();
  ASSERT_TRUE(bundles.ok());
  ASSERT_EQ(bundles->size(), 2u);
  EXPECT_EQ((*bundles)[0].name, "a");
  EXPECT_FALSE((*bundles)[0].owned);
  EXPECT_GT((*bundles)[0].grace_ms, 3'000'000u);
  EXPECT_EQ((*bundles)[0].front_end_pid, 0u);
  EXPECT_TRUE((*bundles)[1].owned);
  EXPECT_EQ((*bundles)[1].owner_pid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ((*bundles)[1].front_end_pid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ((*bundles)[1].slots, (std::vector<std::uint32_t>{0, 17}));
}

TEST_F(KeeperTest, WhenItEndsAllThatItHeldIsClosed) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("port", front_end_slot, ours.get()).ok());
  settle(owner);
  keeper.stop();
  EXPECT_EQ(::access(path_.c_str(), F_OK), -1);
  EXPECT_EQ(next<KeeperGoneEvent>(owner).error.code, ErrorCode::closed);
  EXPECT_EQ(owner.hold("port", 1, ours.get()).error().code, ErrorCode::closed);
  EXPECT_FALSE(owner.next_event().ok());
  EXPECT_EQ(::write(ours.get(), "x", 1), 1);  // the owner's connection goes on
  char byte = 0;
  EXPECT_EQ(::read(theirs.get(), &byte, 1), 1);
}

// What is broken: it ends this client's connection, with a reason, and nobody else's.
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
  expect_end(socket, "the client speaks version 7, the keeper version 1");
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

TEST_F(KeeperTest, AStaleFileIsReplacedAndALiveOneIsNot) {
  {
    const UniqueFd stale(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  KeeperThread keeper(options());
  client();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  const auto second = Keeper::create(options());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_EQ(second.error().message, "'" + path_ + "' is in use: this process listens on it");
  client();
}

TEST_F(KeeperTest, WhatIsNoKeepersSocketStays) {
  const UniqueFd file(::open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_EQ(Keeper::create(options()).error().message, "'" + path_ + "' exists and is no socket: it is not replaced");
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
  auto elsewhere = options();
  elsewhere.path = folder_.path("missing/keeper.sock");
  EXPECT_EQ(Keeper::create(elsewhere).error().code, ErrorCode::system);
  elsewhere.path = std::string(108, 'x');
  EXPECT_EQ(Keeper::create(elsewhere).error().code, ErrorCode::invalid_argument);
}

TEST_F(KeeperTest, OfSeveralThatStartAtOnceOneIsTheKeeper) {
  for (int round = 0; round < 20; ++round) {
    std::vector<std::future<Result<std::unique_ptr<Keeper>>>> all;
    for (int i = 0; i < 6; ++i)
      all.push_back(std::async(std::launch::async, [this] { return Keeper::create(options()); }));
    int made = 0;
    std::vector<Result<std::unique_ptr<Keeper>>> keepers;
    for (auto& one : all) keepers.push_back(one.get());
    for (const auto& keeper : keepers) made += keeper.ok() ? 1 : 0;
    EXPECT_EQ(made, 1);
  }
}

TEST_F(KeeperTest, DescriptorsStayFlat) {
  KeeperThread keeper(options());
  auto owner = client();
  auto other = client();
  const auto file = memory_file();
  const auto before = open_descriptors();
  for (int round = 0; round < 200; ++round) {
    ASSERT_TRUE(owner.claim("port", ClaimHow::hand_over, generous).ok());
    for (std::uint32_t slot = 1; slot < 20; ++slot) ASSERT_TRUE(owner.hold("port", slot, file.get()).ok());
    ASSERT_TRUE(owner.hold("port", 1, file.get()).ok());
    ASSERT_TRUE(owner.drop("port", 2).ok());
    if (round % 3 == 0) {
      ASSERT_TRUE(owner.forget("port").ok());
    }
    if (round % 5 != 0) {
      ASSERT_TRUE(owner.release("port").ok());
    } else {
      owner = client();  // the connection before it ends
    }
    std::swap(owner, other);
  }
  ASSERT_TRUE(owner.claim("port", ClaimHow::stand_by, generous).ok());
  ASSERT_TRUE(owner.park("port", 0ms).ok());
  settle(owner);
  EXPECT_TRUE(owner.list()->empty());
  expect_open_descriptors(before);
}

TEST_F(KeeperTest, ItHoldsWhatTheProcessMayOpen) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 500;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto none = Keeper::create(options());
  low.rlim_cur = 992;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto some = Keeper::create(options());
  EXPECT_TRUE(raise_descriptor_limit().ok());
  rlimit raised{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &raised), 0);
  EXPECT_EQ(raised.rlim_cur, raised.rlim_max);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "the process may open 500 descriptors (ulimit -n), expected more than 893");
  ASSERT_TRUE(some.ok()) << some.error().message;
  EXPECT_EQ(some.value()->descriptors_max(), 99u);
}

}  // namespace
}  // namespace vhostx::continuity
