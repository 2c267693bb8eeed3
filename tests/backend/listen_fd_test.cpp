// SPDX-License-Identifier: BSD-3-Clause
// PortOptions::listen_fd: a socket that somebody else has bound.
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "backend/connection/unix_socket.hpp"
#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {
namespace {

/// As systemd makes it: blocking, and bound to a path or, for a name that begins with a zero byte, to none.
UniqueFd bound(const std::string& name, int type = SOCK_STREAM) {
  UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  return socket;
}

UniqueFd listening(const std::string& name) {
  UniqueFd socket = bound(name);
  EXPECT_EQ(::listen(socket.get(), 4), 0);
  return socket;
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

struct ListenFd : ::testing::Test {
  Result<std::unique_ptr<Port>> open(const UniqueFd& socket) {
    PortOptions options;
    options.listen_fd = socket.get();
    return backend->open_port(options, events.handler());
  }

  TemporaryFolder folder;
  const std::string path = folder.path("port");
  EventLog events;
  std::unique_ptr<Backend> backend = must(Backend::create());
};

TEST_F(ListenFd, AFrontEndIsServedAndTheCallerMayCloseItsOwn) {
  UniqueFd socket = listening(path);
  const auto port = must(open(socket));
  socket.reset();
  EXPECT_EQ(port->socket_path(), path);
  FakeMachine machine(path);
  machine.bring_up();
  for (int ring = 0; ring < 2; ++ring) events.until<VringStarted>();
  EXPECT_TRUE(port->link_up());
}

TEST_F(ListenFd, TheCallersDescriptorStaysOpen) {
  const UniqueFd socket = listening(path);
  must(open(socket)).reset();
  EXPECT_EQ(must(backend::listening_path(socket.get())), path);
}

// Whoever connects between two ports waits for the next one: nobody is refused.
TEST_F(ListenFd, TheSocketListensOnAfterThePort) {
  const UniqueFd socket = listening(path);
  must(open(socket)).reset();
  EXPECT_TRUE(exists(path));
  FakeMachine waiting(must(FakeFrontEnd::connect(path)));
  const auto second = must(open(socket));
  waiting.bring_up();
  events.until<VringStarted>();
  second->close();
  EXPECT_TRUE(waiting.front_end().closed_by_peer());
  EXPECT_TRUE(FakeFrontEnd::connect_once(path).ok());
}

TEST_F(ListenFd, ThePathMayBeGivenToo) {
  const UniqueFd socket = listening(path);
  PortOptions options;
  options.socket_path = path;
  options.listen_fd = socket.get();
  EXPECT_EQ(must(backend->open_port(options))->options().listen_fd, socket.get());
}

/// As systemd does when it starts another service that has the socket.
TEST_F(ListenFd, AHolderThatMakesTheSocketBlockHoldsUpNobody) {
  const UniqueFd socket = listening(path);
  const auto port = must(open(socket));
  const int flags = ::fcntl(socket.get(), F_GETFL);
  ASSERT_EQ(::fcntl(socket.get(), F_SETFL, flags & ~O_NONBLOCK), 0);
  FakeMachine machine(path);
  machine.bring_up();
  for (int ring = 0; ring < 2; ++ring) events.until<VringStarted>();
  const auto other = must(backend->open_port({.socket_path = folder.path("other")}));
  FakeMachine(folder.path("other")).bring_up();
}

/// The kernel says that its peer is who began to listen: another process.
TEST_F(ListenFd, AConnectionThatLeadsBackIsKnownWhoeverBeganToListen) {
  const UniqueFd socket = bound(path);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::listen(socket.get(), 4) == 0 ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  const UniqueFd before(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), elsewhere = listening(folder.path("e"));
  ASSERT_EQ(backend::connect_unix(before.get(), path), 0);
  EXPECT_TRUE(backend::leads_back_here(before.get(), path));
  EXPECT_FALSE(backend::leads_back_here(before.get(), folder.path("e")));
  const auto port = must(open(socket));
  const UniqueFd after(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(backend::connect_unix(after.get(), path), 0);
  EXPECT_TRUE(backend::leads_back_here(after.get(), folder.path("e")));
}

TEST_F(ListenFd, WhatCannotBeIsRefused) {
  const UniqueFd good = listening(path);
  const auto refused = [&](int socket, const std::string& words, auto change) {
    PortOptions options;
    options.listen_fd = socket;
    change(options);
    const auto port = backend->open_port(options);
    ASSERT_FALSE(port) << words;
    EXPECT_EQ(port.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(port.error().message.find(words), std::string::npos) << port.error().message;
    EXPECT_NE(port.error().message.find("listen_fd"), std::string::npos) << port.error().message;
  };
  const auto as_it_is = [](PortOptions&) {};
  refused(1 << 20, "Bad file descriptor, expected a socket", as_it_is);
  refused(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)).get(), "expected a socket", as_it_is);
  refused(bound(folder.path("idle")).get(), "an AF_UNIX SOCK_STREAM socket that does not listen", as_it_is);
  refused(bound(folder.path("packets"), SOCK_DGRAM).get(), "AF_UNIX SOCK_DGRAM", as_it_is);
  refused(listening(std::string("\0vhostx-listen-fd-test", 22)).get(), "bound to no path", as_it_is);
  refused(good.get(), "listen_fd " + std::to_string(good.get()) + " is bound to '" + path + "'",
          [&](PortOptions& options) { options.socket_path = folder.path("elsewhere"); });
  refused(good.get(), "client role", [](PortOptions& options) { options.role = Role::client; });
  refused(good.get(), "socket_mode is given with listen_fd", [](PortOptions& options) { options.socket_mode = 0600; });
  refused(good.get(), "socket_group is given with listen_fd", [](PortOptions& options) { options.socket_group = 0; });
}

}  // namespace
}  // namespace vhostx::test
