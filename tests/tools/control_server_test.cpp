// SPDX-License-Identifier: BSD-3-Clause
// The control socket with clients that are slow, many, or mean no good.
#include "tools/switch/control_server.hpp"

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/unique_fd.hpp"
#include "tools/switch/control_request.hpp"

namespace vhostx::tools {
namespace {

using namespace std::chrono_literals;

class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }

  /// Whether the server took it.
  bool send(std::string_view text) {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  /// The next line; "" at the end of the connection.
  std::string line() {
    for (;;) {
      if (const auto end = text_.find('\n'); end != std::string::npos) {
        auto line = text_.substr(0, end);
        text_.erase(0, end + 1);
        return line;
      }
      std::array<char, 65536> bytes;
      const auto count = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (count <= 0) return {};
      text_.append(bytes.data(), static_cast<std::size_t>(count));
    }
  }
  std::string ask(const std::string& request) { return send(request + "\n") ? line() : ""; }
  void end() { fd_.reset(); }
  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::string text_;
};

class ControlServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 32> name{"/tmp/vhostx-ctl-XXXXXX"};
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ + "/control";
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  static ControlAnswer answer(std::string_view line) {
    if (line == "large") return {std::string(large, 'x'), false};
    return {"<" + std::string(line) + ">", line == "follow"};
  }
  Result<std::unique_ptr<ControlServer>> open(const ControlServer::Patience& patience = {}) {
    return ControlServer::open(path_, answer, patience);
  }
  void start(const ControlServer::Patience& patience = {}) {
    auto server = open(patience);
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }
  void wait_until_followed(bool followed = true) const {
    while (server_->is_followed() != followed) std::this_thread::yield();
  }

  static constexpr std::size_t large = std::size_t{8} << 20;  // more than any socket takes
  std::string folder_, path_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, AnswersEachLineInTurn) {
  start();
  RawClient client(path_);
  EXPECT_EQ(client.ask("one"), "<one>");
  EXPECT_TRUE(client.send("two\nthree\n\nfo"));
  EXPECT_EQ(client.line(), "<two>");
  EXPECT_EQ(client.line(), "<three>");
  EXPECT_EQ(client.line(), "<>");
  EXPECT_EQ(client.ask("ur"), "<four>");
  EXPECT_EQ(client.ask("large").size(), large);
  RawClient other(path_);
  EXPECT_EQ(other.ask("five"), "<five>");
}

TEST_F(ControlServerTest, ALongRequestIsRefusedAndEndsTheConnection) {
  start();
  RawClient fits(path_);
  EXPECT_EQ(fits.ask(std::string(request_bytes_max - 1, 'a')).size(), request_bytes_max + 1);
  RawClient client(path_);
  EXPECT_TRUE(client.send(std::string(request_bytes_max, 'a')));
  EXPECT_NE(client.line().find("\"ok\":false"), std::string::npos);
  EXPECT_EQ(client.line(), "");
  EXPECT_EQ(fits.ask("still"), "<still>");
}

TEST_F(ControlServerTest, WhoSaysNothingIsGivenUp) {
  start({50ms, 60s});
  RawClient silent(path_), half(path_);
  half.send("half a requ");  // on a busy machine it is given up before that
  EXPECT_EQ(silent.line(), "");
  EXPECT_EQ(half.line(), "");
}

TEST_F(ControlServerTest, WhoDoesNotReadIsGivenUpAndKeepsUpNobody) {
  start({60s, 50ms});
  RawClient deaf(path_);
  EXPECT_TRUE(deaf.send("large\n"));
  RawClient client(path_);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.ask("next"), "<next>");
  while (deaf.send("more\n")) std::this_thread::sleep_for(1ms);  // until the connection has ended
}

TEST_F(ControlServerTest, OneClientTooManyEndsTheOldest) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < ControlServer::clients_max + 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(path_));
    EXPECT_EQ(clients.back()->ask("here"), "<here>");
  }
  for (std::size_t i = 0; i < clients.size(); ++i) EXPECT_EQ(clients[i]->ask("here"), i < 3 ? "" : "<here>") << i;
}

TEST_F(ControlServerTest, FollowersGetAllThatComes) {
  start();
  EXPECT_FALSE(server_->is_followed());
  server_->tell("nobody hears it");
  RawClient first(path_), second(path_), other(path_);
  EXPECT_EQ(first.ask("follow"), "<follow>");
  EXPECT_EQ(second.ask("follow"), "<follow>");
  EXPECT_EQ(other.ask("x"), "<x>");
  wait_until_followed();
  // Both: an event for the second means that it was told of.
  while (true) {
    server_->tell("begin");
    pollfd input{second.fd(), POLLIN, 0};
    if (::poll(&input, 1, 1) == 1) break;
  }
  for (int i = 0; i < 1000; ++i) server_->tell(std::to_string(i));
  for (auto* follower : {&first, &second}) {
    auto line = follower->line();
    while (line == "begin") line = follower->line();
    for (int i = 0; i < 1000; ++i, line = i < 1000 ? follower->line() : "") ASSERT_EQ(line, std::to_string(i));
  }
  EXPECT_EQ(other.ask("y"), "<y>");
  first.end();
  EXPECT_TRUE(second.send("z"));  // a follower has nothing to say
  wait_until_followed(false);
}

/// A bound holds, and what was lost is counted: for each event one line, or one in a line of those left out.
TEST_F(ControlServerTest, AFollowerThatDoesNotReadMissesSome) {
  start();
  RawClient follower(path_), other(path_);
  EXPECT_EQ(follower.ask("follow"), "<follow>");
  wait_until_followed();
  const std::string event(1000, 'e');
  constexpr std::uint64_t events = 5000;
  for (std::uint64_t i = 0; i < events; ++i) {
    server_->tell(event);
    if (i % 100 != 0) continue;
    EXPECT_EQ(other.ask("x"), "<x>");  // what was told before has been taken
  }
  std::uint64_t seen = 0, left_out = 0, later = 0;
  while (seen + left_out < events + later) {
    const auto line = follower.line();
    ASSERT_NE(line, "");
    if (line == event) ++seen;
    if (const auto at = line.find("\"count\":"); at != std::string::npos) left_out += std::stoull(line.substr(at + 8));
    if (seen + left_out < events + later && seen % 100 == 0) server_->tell(event), ++later;
  }
  EXPECT_GT(left_out, 0u);
  EXPECT_GT(seen, 100u);
}

TEST_F(ControlServerTest, TheSocketIsForItsUserAloneAndGoes) {
  const auto umask_before = ::umask(0);
  start();
  ::umask(umask_before);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0600u);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_NE(second.error().message.find("--control"), std::string::npos) << second.error().message;
  EXPECT_EQ(RawClient(path_).ask("x"), "<x>");
  RawClient client(path_);
  server_.reset();
  EXPECT_EQ(client.line(), "");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlServerTest, AStaleSocketIsReplacedAndAFileIsNot) {
  {
    UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  start();
  EXPECT_EQ(RawClient(path_).ask("x"), "<x>");
  server_.reset();
  std::ofstream(path_) << "precious";
  EXPECT_FALSE(open());
  EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

}  // namespace
}  // namespace vhostx::tools
