// SPDX-License-Identifier: BSD-3-Clause
// The process around a port: its children, its clock, and thousands of ports that come and go.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "tests/faults/injector.hpp"
#include "tests/faults/scripted_life.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/support/eal.hpp"
#include "tests/support/emulated_kernel.hpp"

namespace {
std::atomic<unsigned> wall_clock_looks{0};
}

// The wall clock may be set at any time, so nothing may wait by it. Chrono's clocks come here, too.
extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  using Function = int (*)(clockid_t, timespec*);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "clock_gettime"));
  if (clock == CLOCK_REALTIME && vhostx::test::is_in_library()) ++wall_clock_looks;
  return real(clock, now);
}

namespace vhostx::test {
namespace {

unsigned mappings_of_guests(const std::string& process) {
  std::ifstream maps("/proc/" + process + "/maps");
  unsigned count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find("memfd:fake guest") != std::string::npos && line.find(" rw-s ") != std::string::npos;
  return count;
}

TEST(Clock, NoLookAtTheWallClock) {
  start_eal();
  ScriptedLife life({});
  life.open();
  life.live();
  life.close();
  EXPECT_EQ(wall_clock_looks, 0u);
}

TEST(Fork, AChildHasNoGuestMemory) {
  if (!has_dontfork()) GTEST_SKIP() << no_dontfork;
  start_eal();
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  fixture.events.until<VringStarted>();
  ASSERT_EQ(mappings_of_guests("self"), 2u) << "the driver's own and the library's";
  const pid_t child = ::fork();  // where other threads were: it can do nothing but be looked at
  if (child == 0)
    for (;;) ::pause();
  ASSERT_GT(child, 0);
  EXPECT_EQ(mappings_of_guests(std::to_string(child)), 1u);
  ::kill(child, SIGKILL);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  machine.sync();
}

std::set<int> descriptors() {
  wait_for_releases();
  std::set<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    found.insert(std::stoi(entry.path().filename()));
  return found;
}

// EAL keeps some of its own open.
TEST(Exec, AChildHasNoDescriptorOfOurs) {
  start_eal();
  const auto before = descriptors();
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  must(machine.front_end().open_backend_channel());
  fixture.events.until<VringStarted>();
  machine.sync();
  unsigned ours = 0;
  for (const int fd : descriptors()) {
    if (before.contains(fd) || ::fcntl(fd, F_GETFD) < 0) continue;
    EXPECT_TRUE((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0)
        << fd << " " << std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd));
    ++ours;
  }
  EXPECT_GT(ours, 15u);
}

struct Possessions {
  std::ptrdiff_t fds = open_fds();
  std::size_t kibibytes = 0;
  std::size_t mappings = 0;

  Possessions() {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) ++mappings;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
      if (line.rfind("RssAnon:", 0) == 0) kibibytes = std::stoul(line.substr(8));
  }
};

#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps_what_was_freed = true;
#elif defined(__has_feature)
constexpr bool keeps_what_was_freed = __has_feature(address_sanitizer);
#else
constexpr bool keeps_what_was_freed = false;
#endif

// VHOSTX_TIMES=10000 for the long version.
TEST(Ports, ThousandsComeAndGo) {
  const char* const wanted = std::getenv("VHOSTX_TIMES");
  const int times = wanted == nullptr ? 1000 : std::atoi(wanted);
  const auto backend = must(Backend::create());
  const TemporaryFolder folder;
  const auto once = [&](int i) {
    PortOptions options;
    options.socket_path = folder.path("port");
    options.role = i % 2 == 0 ? Role::server : Role::client;
    options.zero_copy = i % 4 < 2;
    const auto port = must(backend->open_port(options));
    if (i % 8 == 0) FakeMachine(options.socket_path).negotiate();
  };
  for (int i = 0; i < 100; ++i) once(i);
  const Possessions before;
  for (int i = 0; i < times; ++i) once(i);
  const Possessions after;
  EXPECT_EQ(after.fds, before.fds);
  EXPECT_LE(after.mappings, before.mappings + 4);
  if (has_memory_of_its_own()) {
    EXPECT_LE(after.kibibytes, before.kibibytes + (keeps_what_was_freed ? 1 << 20 : 512));
  }
  std::printf("%d ports: %zd descriptors, %zu mappings, %zu KiB; before them %zu mappings, %zu KiB\n", times, after.fds,
              after.mappings, after.kibibytes, before.mappings, before.kibibytes);
}

}  // namespace
}  // namespace vhostx::test
