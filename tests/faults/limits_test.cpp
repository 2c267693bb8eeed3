// SPDX-License-Identifier: BSD-3-Clause
// What the process or its file systems have no more of: descriptors, addresses, room for a socket.
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sched.h>

#include <climits>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "backend/connection/unix_socket.hpp"
#include "tests/backend/port_fixture.hpp"
#include "tests/faults/injector.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/support/emulated_kernel.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;

/// A limit of the process, for as long as it lives.
class Limit {
 public:
  Limit(__rlimit_resource which, rlim_t limit) : which_(which) {
    ::getrlimit(which_, &before_);
    rlimit now = before_;
    now.rlim_cur = limit;
    ::setrlimit(which_, &now);
  }
  ~Limit() { ::setrlimit(which_, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  __rlimit_resource which_;
  rlimit before_{};
};

rlim_t lowest_free_fd() {
  const UniqueFd fd = any_fd();
  return static_cast<rlim_t>(fd.get());
}

// Sanitizers take addresses as they need them, and UBSan looks at a type that is new to it through a pipe.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

struct OutOfDescriptors : ::testing::Test {
  void SetUp() override {
    if (sanitized) GTEST_SKIP() << "sanitizers need descriptors themselves";
  }
};

TEST_F(OutOfDescriptors, AMessageThatBringsOneEndsItsConnectionAndTheNextOneIsServed) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  machine.send_memory();
  machine.configure_ring(0);
  {
    const UniqueFd kick = duplicate(machine.ring(0).kick.get());
    FdList fds;
    fds.add(duplicate(kick.get()));
    const auto bytes = encode(make_request(FrontEndRequest::set_vring_kick, U64{0}, true));
    const Limit none(RLIMIT_NOFILE, lowest_free_fd());  // it is on its way, and cannot arrive
    must(machine.front_end().send_bytes(bytes, fds));
    EXPECT_TRUE(machine.front_end().closed_by_peer());
  }
  const auto left = fixture.events.until<FrontEndDisconnected>();
  EXPECT_NE(left.reason.message.find("none free in this process"), std::string::npos) << left.reason.message;
  FakeMachine next(fixture.options.socket_path);
  next.bring_up();
  fixture.events.until<VringStarted>();
}

TEST_F(OutOfDescriptors, AcceptingIsTriedAgainNowAndThen) {
  PortFixture fixture;
  const UniqueFd socket = must(backend::make_unix_socket());
  count_calls();
  unsigned turns = 0;
  {
    const Limit none(RLIMIT_NOFILE, lowest_free_fd());
    ASSERT_EQ(backend::connect_unix(socket.get(), fixture.options.socket_path), 0);
    while (calls_seen(Call::accept4) < 4) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    turns = calls_seen(Call::epoll_wait);
  }
  fixture.events.until<FrontEndConnected>();
  disarm();
  EXPECT_LT(turns, 40u) << "turns of the loop for four attempts: it spins";
}

TEST_F(OutOfDescriptors, NoBackendAndNoPortButAnErrorThatSaysSo) {
  const TemporaryFolder folder;
  PortOptions options;
  options.socket_path = folder.path("port");
  const auto backend = must(Backend::create());
  const auto before = open_fds();
  {
    const Limit none(RLIMIT_NOFILE, lowest_free_fd());
    const auto other = Backend::create();
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().system_errno, EMFILE) << other.error().message;
    const auto port = backend->open_port(options);
    ASSERT_FALSE(port);
    EXPECT_EQ(port.error().system_errno, EMFILE) << port.error().message;
  }
  EXPECT_EQ(open_fds(), before);
  const auto port = must(backend->open_port(options));
  FakeMachine(options.socket_path).negotiate();
}

rlim_t address_space() {
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

TEST(OutOfAddresses, ARegionIsRefusedAndTheConnectionLives) {
  if (sanitized) GTEST_SKIP() << "sanitizers need addresses themselves";
  if (!has_address_limit()) GTEST_SKIP() << no_address_limit;
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  const FakeGuest large({{0x1'0000'0000, std::size_t{1} << 30}});
  const auto d = large.description(0);
  const MemoryRegion region{d.guest.value, d.size, d.front_end.value, d.mmap_offset};
  {
    const Limit little(RLIMIT_AS, address_space() + (std::size_t{256} << 20));
    EXPECT_FALSE(machine.front_end().add_mem_reg(region, large.file(0).get()));
  }
  must(machine.front_end().add_mem_reg(region, large.file(0).get()));
  EXPECT_EQ(fixture.port->info().memory_regions, 1u);
}

/// A file system of the test's own in a folder; empty `problem`: it is there.
struct SmallFileSystem {
  explicit SmallFileSystem(const char* options) {
    std::filesystem::create_directory(path);
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", path.c_str(), "tmpfs", 0, options) != 0)
      problem = std::string("mounting takes root: ") + std::strerror(errno);
  }
  ~SmallFileSystem() { ::umount2(path.c_str(), MNT_DETACH); }

  TemporaryFolder folder;
  std::string path = folder.path("mount");
  std::string problem;
};

Error error_at(Backend& backend, const std::string& folder) {
  PortOptions options;
  options.socket_path = folder + "/port";
  const auto port = backend.open_port(options);
  return port ? Error{} : port.error();
}

// The control thread, too, must see what is mounted: it starts afterwards.
TEST(SocketFolder, AFullDiskIsNamedAndForgottenOnceThereIsRoom) {
  const SmallFileSystem disk("nr_inodes=2");  // the folder itself, and one more
  if (!disk.problem.empty()) GTEST_SKIP() << disk.problem;
  const auto backend = must(Backend::create());
  std::ofstream(disk.path + "/file") << "";
  const Error error = error_at(*backend, disk.path);
  EXPECT_EQ(error.system_errno, ENOSPC) << error.message;
  EXPECT_NE(error.message.find(disk.path), std::string::npos) << error.message;
  std::filesystem::remove(disk.path + "/file");
  EXPECT_EQ(error_at(*backend, disk.path).message, "");
}

TEST(SocketFolder, AReadOnlyOneIsNamed) {
  const SmallFileSystem disk("ro");
  if (!disk.problem.empty()) GTEST_SKIP() << disk.problem;
  const auto backend = must(Backend::create());
  EXPECT_EQ(error_at(*backend, disk.path).system_errno, EROFS);
}

TEST(SocketFolder, OneWithoutPermissionIsNamed) {
  const TemporaryFolder folder;
  const auto backend = must(Backend::create());
  std::filesystem::permissions(folder.path("."), std::filesystem::perms::none);
  const uid_t me = ::geteuid();
  ASSERT_EQ(::seteuid(me == 0 ? 65534 : me), 0);  // all threads'
  const Error error = error_at(*backend, folder.path("."));
  ASSERT_EQ(::seteuid(me), 0);
  std::filesystem::permissions(folder.path("."), std::filesystem::perms::owner_all);
  EXPECT_EQ(error.system_errno, EACCES) << error.message;
}

}  // namespace
}  // namespace vhostx::test
