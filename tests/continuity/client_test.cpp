// SPDX-License-Identifier: BSD-3-Clause
// A KeeperClient whose keeper does not do its part.
#include <array>
#include <cstring>
#include <poll.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "continuity/keeper_client.hpp"
#include "continuity/packet_socket.hpp"
#include "keeper_fixture.hpp"

namespace vhostx::continuity {
namespace {

using namespace std::chrono_literals;

/// What listens in a keeper's place, and says what the test wants.
class FalseKeeper {
 public:
  explicit FalseKeeper(const std::string& path) : listener_(make_packet_socket().value()) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
  }
  KeeperClient welcomed(const std::string& path, std::chrono::milliseconds timeout) {
    std::thread welcome([this] {
      pollfd one{listener_.get(), POLLIN, 0};
      EXPECT_EQ(::poll(&one, 1, static_cast<int>(std::chrono::milliseconds(generous).count())), 1);
      connection = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      say(1, Welcome{});
    });
    auto client = KeeperClient::connect(path, timeout);
    welcome.join();
    return std::move(client).value();
  }
  void say(std::uint32_t tag, Reply reply, std::span<const int> fds = {}) {
    EXPECT_EQ(send_packet(connection.get(), encode(Tagged<Reply>{tag, std::move(reply)}), fds), 0);
  }

  UniqueFd connection;

 private:
  UniqueFd listener_;
};

class FalseKeeperTest : public KeeperTest {
 protected:
  FalseKeeperTest() : keeper_(path_) {}
  KeeperClient welcomed(std::chrono::milliseconds timeout = generous) { return keeper_.welcomed(path_, timeout); }

  FalseKeeper keeper_;
};

TEST_F(KeeperTest, NobodyListens) {
  const auto none = KeeperClient::connect(path_);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::system);
  EXPECT_EQ(none.error().system_errno, ENOENT);
  EXPECT_EQ(KeeperClient::connect("").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(KeeperClient::connect(std::string(108, 'x')).error().code, ErrorCode::invalid_argument);
}

TEST_F(KeeperTest, BadArgumentsAreRefusedHere) {
  KeeperThread keeper(options());
  auto one = client();
  EXPECT_EQ(one.claim("", ClaimHow::now).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(one.forget(std::string(108, 'x')).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(one.claim("port", ClaimHow::now).ok());
  EXPECT_EQ(one.hold("port", 0, 1'000'000).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(one.park("port", std::chrono::hours(24 * 365)).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(one.park("port", -1ms).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(one.list().ok());
}

TEST_F(FalseKeeperTest, NoWelcomeIsAnErrorInTime) {
  const auto late = KeeperClient::connect(path_, 5ms);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::timed_out);
}

TEST_F(FalseKeeperTest, AKeeperThatDoesNotReadHoldsUpOneCall) {
  auto client = welcomed(2s);
  const auto file = memory_file();
  Result<void> held;
  for (int i = 0; i < 100000 && held.ok(); ++i) held = client.hold("port", 1, file.get());
  ASSERT_FALSE(held.ok());
  EXPECT_EQ(held.error().code, ErrorCode::timed_out);
  EXPECT_EQ(client.hold("port", 1, file.get()).error().code, ErrorCode::timed_out);
  EXPECT_EQ(client.list().error().code, ErrorCode::timed_out);
  EXPECT_EQ(next<KeeperGoneEvent>(client).error.code, ErrorCode::timed_out);
}

TEST_F(FalseKeeperTest, NoAnswerIsAnErrorInTime) {
  auto client = welcomed(2s);
  EXPECT_EQ(client.claim("port", ClaimHow::now).error().code, ErrorCode::timed_out);
  EXPECT_EQ(client.cancel("port").error().code, ErrorCode::timed_out);
}

TEST_F(FalseKeeperTest, AGrantThatNobodyAskedForEndsTheConnection) {
  auto client = welcomed();
  keeper_.say(77, Granted{"port", 0, 0, {}});
  EXPECT_EQ(next<KeeperGoneEvent>(client).error.message, "the keeper sent GRANTED, which nobody asked for");
}

TEST_F(FalseKeeperTest, AGrantComesWholeAndInOrder) {
  const auto file = memory_file();
  const std::vector<int> one(1, file.get());
  const auto fault_of = [&](std::initializer_list<std::pair<std::uint32_t, Granted>> parts) {
    auto client = welcomed();
    for (const auto& [tag, part] : parts) keeper_.say(tag, part, one);
    return client.claim("port", ClaimHow::now).error().message;  // its tag is 2
  };
  EXPECT_EQ(fault_of({{2, {"port", 2, 1, {1}}}}), "GRANTED: slots are missing");
  EXPECT_EQ(fault_of({{2, {"port", 2, 0, {1}}}, {2, {"port", 2, 1, {1}}}}), "GRANTED: slot 1 comes twice");
  EXPECT_EQ(fault_of({{2, {"port", 2, 0, {1}}}, {3, {"port", 2, 1, {2}}}}),
            "the keeper sent another packet before the end of GRANTED");
}

TEST_F(FalseKeeperTest, WhatIsPreparedComesWholeOrNotAtAll) {
  const auto file = memory_file();
  const std::vector<int> one(1, file.get());
  {
    auto client = welcomed();
    ASSERT_TRUE(client.stand_by("port", ClaimHow::stand_by).ok());  // its tag is 2
    keeper_.say(3, Prepared{{"port", 2, 0, {1}}}, one);
    keeper_.say(2, GrantedPrepared{"port"});
    EXPECT_EQ(client.prepare("port").error().message, "the keeper sent another packet before the end of GRANTED");
  }
  auto client = welcomed();
  ASSERT_TRUE(client.stand_by("port", ClaimHow::stand_by).ok());
  keeper_.say(3, Granted{"port", 1, 0, {1}}, one);
  EXPECT_EQ(client.prepare("port").error().message, "the keeper sent GRANTED, which nobody asked for");
}

TEST_F(FalseKeeperTest, WhatIsGrantedMeanwhileIsNotPrepared) {
  auto client = welcomed();
  EXPECT_FALSE(client.prepare("port")->has_value()) << "nothing waits";
  ASSERT_TRUE(client.stand_by("port", ClaimHow::stand_by).ok());
  keeper_.say(2, GrantedPrepared{"port"});
  keeper_.say(3, Failed{PacketType::prepare, ErrorCode::invalid_argument, "port", "none"});
  EXPECT_FALSE(client.prepare("port")->has_value());
  EXPECT_TRUE(next<GrantedEvent>(client).as_prepared);
}

TEST_F(FalseKeeperTest, NoMoreIsShownThanWasAskedFor) {
  auto client = welcomed();
  for (const std::uint32_t tag : {2U, 3U}) keeper_.say(tag, Shown{std::vector<std::byte>(shown_bytes_max)});
  EXPECT_EQ(client.look("port", 1, 0, shown_bytes_max + 5)->size(), shown_bytes_max + 5);
  keeper_.say(4, Listed{{"port", {}, false, 0, 0, 0, 0, 0}});
  EXPECT_EQ(client.look("port", 1, 0, 1).error().message, "the keeper sent LISTED, which nobody asked for");
}

/// As it answers what it does not know.
TEST_F(FalseKeeperTest, AnOlderKeeperEndsTheConnectionOfALooker) {
  auto client = welcomed();
  keeper_.say(0, Failed{PacketType::hello, ErrorCode::protocol_violation, {}, "a packet has the unknown type 12"});
  keeper_.connection.reset();
  EXPECT_EQ(client.look("port", 1, 0, 1).error().code, ErrorCode::closed);
  EXPECT_EQ(next<FailedEvent>(client).error.message, "a packet has the unknown type 12");
}

TEST_F(FalseKeeperTest, WhatIsNoReplyEndsTheConnection) {
  auto client = welcomed();
  const auto request = encode(Tagged<Request>{1, List{}});
  ASSERT_EQ(send_packet(keeper_.connection.get(), request, {}), 0);
  const auto gone = next<KeeperGoneEvent>(client).error;
  EXPECT_EQ(gone.code, ErrorCode::protocol_violation);
  EXPECT_EQ(gone.message, "a packet has the unknown type 9");
  EXPECT_EQ(client.release("port").error().message, gone.message);
}

TEST_F(FalseKeeperTest, WhatCameBeforeTheEndIsStillToldOf) {
  auto client = welcomed();
  keeper_.say(0, YieldAsked{"port", 5});
  keeper_.connection.reset();
  EXPECT_EQ(client.release("port").error().code, ErrorCode::closed);
  EXPECT_EQ(next<YieldEvent>(client).asker_pid, 5u);
  EXPECT_EQ(next<KeeperGoneEvent>(client).error.code, ErrorCode::closed);
}

}  // namespace
}  // namespace vhostx::continuity
