// SPDX-License-Identifier: BSD-3-Clause
// Who may connect to a port's socket, and that nothing but that socket is touched for it.
#include "backend/connection/socket_file.hpp"

#include <csignal>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "backend/connection/unix_socket.hpp"
#include "base/peer_process.hpp"
#include "base/release_pool.hpp"
#include "tests/backend/port_fixture.hpp"
#include "tests/support/slow_releases.hpp"

namespace vhostx::test {
namespace {

struct stat status_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}
mode_t mode_of(const std::string& path) { return status_of(path).st_mode & 07777u; }

/// For as long as it lives; the process has one.
struct Umask {
  explicit Umask(mode_t mask) : before(::umask(mask)) {}
  ~Umask() { ::umask(before); }
  const mode_t before;
};

TEST(SocketFile, TheModeIsAsAskedWhateverTheUmaskSays) {
  for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{0777}}) {
    const Umask umask(mask);
    for (const std::uint32_t mode : {0600u, 0660u, 0666u, 0777u}) {
      PortFixture fixture([mode](PortOptions& options) { options.socket_mode = mode; });
      EXPECT_EQ(mode_of(fixture.options.socket_path), mode) << "umask " << mask;
    }
  }
}

TEST(SocketFile, WithoutAModeTheUmaskDecides) {
  const Umask umask(027);
  const PortFixture fixture;
  EXPECT_EQ(mode_of(fixture.options.socket_path), 0750u);
}

TEST(SocketFile, AGroupIsTheOneAskedFor) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a file to any group";
  const PortFixture fixture([](PortOptions& options) {
    options.socket_mode = 0660;
    options.socket_group = 4711;
  });
  EXPECT_EQ(status_of(fixture.options.socket_path).st_gid, 4711u);
  EXPECT_EQ(mode_of(fixture.options.socket_path), 0660u);
}

TEST(SocketFile, AConnectionIsServedAsEver) {
  PortFixture fixture([](PortOptions& options) {
    options.socket_mode = 0600;
    options.socket_group = ::getegid();
  });
  FakeMachine(fixture.options.socket_path).negotiate();
}

/// Another process that listens at `path` until this is destroyed.
class OtherListener {
 public:
  explicit OtherListener(const std::string& path) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) listen_for_ever(path, ends[1]);
    ::close(ends[1]);
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    ::close(ends[0]);
  }
  ~OtherListener() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  int pid() const { return pid_; }

 private:
  [[noreturn]] static void listen_for_ever(const std::string& path, int ready) {
    ::prctl(PR_SET_NAME, "other\x1b-switch");
    const auto socket = backend::make_unix_socket();
    if (!socket || backend::bind_unix(socket->get(), path) != 0 || ::listen(socket->get(), 1) != 0) ::_exit(1);
    if (::write(ready, "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  int pid_ = -1;
};

TEST(SocketFile, APathInUseNamesTheProcessThatListens) {
  const TemporaryFolder folder;
  const std::string path = folder.path("port");
  int pid = 0;
  {
    const OtherListener other(path);
    pid = other.pid();
    const auto removed = backend::remove_stale_socket(path);
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code, ErrorCode::busy);
    EXPECT_EQ(removed.error().message, fmt::format("'{}' is in use: other?-switch (pid {}) listens on it", path, pid));
  }
  EXPECT_EQ(describe_process(pid), fmt::format("pid {}", pid)) << "it has ended";
  EXPECT_EQ(describe_process(0), "an unknown process");
  must(backend::remove_stale_socket(path));
}

TEST(SocketFile, AFullQueueOfConnectionsIsInUseToo) {
  const TemporaryFolder folder;
  const std::string path = folder.path("port");
  const auto listener = must(backend::make_unix_socket());
  ASSERT_EQ(backend::bind_unix(listener.get(), path), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  std::vector<UniqueFd> waiting;
  do waiting.push_back(must(backend::make_unix_socket()));
  while (backend::connect_unix(waiting.back().get(), path) == 0);
  const auto removed = backend::remove_stale_socket(path);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().message,
            "'" + path + "' is in use: a process listens on it, and its queue of connections is full");
}

TEST(SocketFile, NobodyElseCanOpenItBeforeItsModeIsSet) {
  const Umask umask(0);
  const TemporaryFolder folder;
  const auto socket = must(backend::make_unix_socket());
  must(backend::restrict_before_bind(socket.get(), {0666, {}}));
  ASSERT_EQ(backend::bind_unix(socket.get(), folder.path("port")), 0);
  EXPECT_EQ(mode_of(folder.path("port")), 0600u);
}

// However long the connection that looked waits to be closed.
TEST(SocketFile, WhoeverListensThereSeesAtOnceThatNobodyCame) {
  const TemporaryFolder folder;
  const auto listener = must(backend::make_unix_socket());
  ASSERT_EQ(backend::bind_unix(listener.get(), folder.path("port")), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const auto pool = std::make_shared<ReleasePool>();
  const auto releases = std::make_shared<Releases>(pool);
  std::deque<LingeringSocket> slow(Releases::held_up_max);
  for (LingeringSocket& socket : slow) UniqueFd(socket.take().release(), releases->ticket()).reset();
  while (!releases->stands_still() || releases->held_up() != Releases::held_up_max) std::this_thread::yield();

  EXPECT_FALSE(backend::remove_stale_socket(folder.path("port"), releases.get()));
  EXPECT_EQ(releases->pending(), Releases::held_up_max + 1);
  const UniqueFd came(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  pollfd ended{came.get(), POLLRDHUP, 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 1);

  for (LingeringSocket& socket : slow) socket.let_go();
  while (releases->pending() != 0) std::this_thread::yield();
  pool->finish();
}

TEST(SocketFile, AnythingElseAtThePathIsLeftAlone) {
  const TemporaryFolder folder;
  std::ofstream(folder.path("precious")) << "text";
  std::filesystem::permissions(folder.path("precious"), std::filesystem::perms{0600});
  std::filesystem::create_symlink(folder.path("precious"), folder.path("link"));
  for (const auto* name : {"precious", "link"}) {
    const auto set = backend::set_access(folder.path(name), {0666, {}});
    ASSERT_FALSE(set) << name;
    EXPECT_EQ(set.error().code, ErrorCode::busy) << set.error().message;
    EXPECT_NE(set.error().message.find(folder.path(name)), std::string::npos) << set.error().message;
  }
  EXPECT_EQ(mode_of(folder.path("precious")), 0600u);
}

TEST(SocketFile, AnotherUsersSocketIsLeftAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a socket away";
  const TemporaryFolder folder;
  const auto socket = must(backend::make_unix_socket());
  ASSERT_EQ(backend::bind_unix(socket.get(), folder.path("port")), 0);
  ASSERT_EQ(::chown(folder.path("port").c_str(), 65534, 65534), 0);
  const auto before = mode_of(folder.path("port"));
  const auto set = backend::set_access(folder.path("port"), {0, {}});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::busy);
  EXPECT_EQ(mode_of(folder.path("port")), before);
}

/// Without the rights of root, for a test that is run as root; the folder is its own.
struct AsNobody {
  explicit AsNobody(const std::string& folder) {
    if (!root) return;
    EXPECT_EQ(::chown(folder.c_str(), 65534, 65534), 0);
    EXPECT_EQ(::seteuid(65534), 0);
  }
  ~AsNobody() {
    if (!root) return;
    EXPECT_EQ(::seteuid(0), 0);
  }
  const bool root = ::geteuid() == 0;
};

TEST(SocketFile, AGroupThatIsNotAllowedIsNamedAndLeavesNoSocket) {
  const TemporaryFolder folder;
  PortOptions options;
  options.socket_path = folder.path("port");
  options.socket_group = 4711;
  const auto backend = must(Backend::create());
  const AsNobody nobody(folder.path(""));
  const auto port = backend->open_port(options);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().system_errno, EPERM) << port.error().message;
  EXPECT_NE(port.error().message.find("to the group 4711"), std::string::npos) << port.error().message;
  EXPECT_FALSE(std::filesystem::exists(options.socket_path));
}

}  // namespace
}  // namespace vhostx::test
