// SPDX-License-Identifier: BSD-3-Clause
// What peers brought is released elsewhere: nobody who hands over waits, no port waits for another.
#include "base/releases.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/release_pool.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/support/slow_releases.hpp"

namespace vhostx::test {
namespace {

template <typename Holds>
void wait_until(Holds holds) {  // the test's time-out is the limit
  while (!holds()) std::this_thread::sleep_for(std::chrono::microseconds(100));
}

bool is_mapped(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(name) != std::string::npos) return true;
  return false;
}

struct Port {
  explicit Port(const std::shared_ptr<ReleasePool>& pool) : releases(std::make_shared<Releases>(pool)) {}

  UniqueFd own(UniqueFd fd) { return UniqueFd(fd.release(), releases->ticket()); }
  void release(UniqueFd fd) { own(std::move(fd)).reset(); }

  std::shared_ptr<Releases> releases;
};

struct ReleasesTest : ::testing::Test {
  ~ReleasesTest() override { pool->finish(); }

  std::shared_ptr<ReleasePool> pool = std::make_shared<ReleasePool>();
  Port port{pool};
};

TEST_F(ReleasesTest, ADescriptorOfAPeerIsClosedWithoutAWait) {
  LingeringSocket slow;
  port.release(slow.take());
  EXPECT_EQ(port.releases->pending(), 1U);
  wait_until([&] { return port.releases->held_up() == 1; });
  slow.let_go();
  wait_until([&] { return port.releases->pending() == 0 && port.releases->held_up() == 0; });
}

TEST_F(ReleasesTest, TheTicketGoesWithTheDescriptor) {
  UniqueFd first = port.own(any_fd());
  UniqueFd second(std::move(first));
  EXPECT_EQ(first.releases(), nullptr);
  UniqueFd third = any_fd();
  third = std::move(second);
  EXPECT_EQ(third.releases(), port.releases.get());
}

TEST_F(ReleasesTest, APortThatIsHeldUpHoldsUpNoOther) {
  std::deque<LingeringSocket> slow(Releases::held_up_max + 2);
  for (LingeringSocket& socket : slow) port.release(socket.take());
  for (int i = 0; i < 100; ++i) {
    Port other(pool);
    other.release(any_fd());
    wait_until([&] { return other.releases->pending() == 0; });
    EXPECT_FALSE(other.releases->stands_still());
  }
  wait_until([&] { return port.releases->held_up() == Releases::held_up_max; });
  EXPECT_TRUE(port.releases->stands_still());
  EXPECT_EQ(port.releases->pending(), slow.size());
  for (LingeringSocket& socket : slow) socket.let_go();
  wait_until([&] { return port.releases->pending() == 0 && port.releases->held_up() == 0; });
  EXPECT_FALSE(port.releases->stands_still());
}

TEST_F(ReleasesTest, AllOfThemGoWhenTheFirstIsSlow) {
  LingeringSocket slow;
  port.release(slow.take());
  for (int i = 0; i < 1000; ++i) port.release(any_fd());
  wait_until([&] { return port.releases->pending() == 1; });
  slow.let_go();
  wait_until([&] { return port.releases->pending() == 0; });
}

TEST_F(ReleasesTest, AMappingIsUnmappedToItsLastPage) {
  const std::size_t page = 4096;
  const std::size_t bytes = (std::size_t{300} << 20) + page;
  // Its name is looked for: something else may be mapped where it was.
  const UniqueFd file(::memfd_create("unmapped-to-its-last-page", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  void* const pages = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
  ASSERT_NE(pages, MAP_FAILED);
  ASSERT_TRUE(is_mapped("unmapped-to-its-last-page"));
  auto* const begin = static_cast<std::uint8_t*>(pages);
  port.releases->ticket().unmap({.begin = begin, .bytes = bytes, .first = begin + page, .page = page});
  wait_until([&] { return port.releases->pending() == 0; });
  EXPECT_FALSE(is_mapped("unmapped-to-its-last-page"));
}

TEST_F(ReleasesTest, ManyThreadsHandOverAtOnce) {
  constexpr int each = 2000;
  const auto before = open_fds();
  std::deque<Port> ports;
  for (int i = 0; i < 3; ++i) ports.emplace_back(pool);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&ports] {
      for (int i = 0; i < each; ++i) ports[static_cast<std::size_t>(i % 3)].release(any_fd());
    });
  for (std::thread& thread : threads) thread.join();
  for (const Port& each_port : ports) wait_until([&] { return each_port.releases->pending() == 0; });
  EXPECT_EQ(open_fds(), before);
}

TEST_F(ReleasesTest, WhatIsHandedOverAfterTheEndIsReleasedToo) {
  pool->finish();
  for (int i = 0; i < 100; ++i) {
    port.release(any_fd());
    wait_until([&] { return port.releases->pending() == 0; });
  }
}

TEST_F(ReleasesTest, ThreadsEndAndThePoolWithThem) {
  const std::weak_ptr<ReleasePool> watched = pool;
  LingeringSocket slow;
  {
    auto ending = std::make_shared<ReleasePool>();
    Port last(ending);
    last.release(slow.take());
    last.release(any_fd());
    ending->finish();  // waits for nothing
    wait_until([&] { return last.releases->pending() == 1; });
    std::weak_ptr<ReleasePool> gone = ending;
    ending.reset();
    last.releases.reset();
    slow.let_go();
    wait_until([&] { return gone.expired(); });
  }
}

// In processes of their own, which GoogleTest starts anew: threads that come and go leave nothing that a fork can use.
struct ReleasesDeathTest : ReleasesTest {
  void SetUp() override { ::testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};

TEST_F(ReleasesDeathTest, AProcessEndsThoughAReleaseHangs) {
  EXPECT_EXIT(
      {
        LingeringSocket slow;  // ten minutes are more than this test has
        port.release(slow.take());
        wait_until([&] { return port.releases->held_up() == 1; });
        pool->finish();
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

// The hand-over that starts no thread, and the next one; 0, or what went wrong.
int starve(Port& port, ReleasePool& pool) {
  constexpr uid_t nobody = 65534;
  rlimit before{};
  ::getrlimit(RLIMIT_NPROC, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  if (::setresuid(nobody, nobody, nobody) != 0 || ::setrlimit(RLIMIT_NPROC, &none) != 0) return 2;
  if (pool.prepare()) return 3;
  port.release(any_fd());
  if (port.releases->pending() != 1 || !port.releases->stands_still()) return 4;
  ::setrlimit(RLIMIT_NPROC, &before);
  port.release(any_fd());
  wait_until([&] { return port.releases->pending() == 0; });
  return 0;
}

TEST_F(ReleasesDeathTest, WithoutAThreadItWaitsForTheNextHandOver) {
  if (::geteuid() != 0) GTEST_SKIP() << "skipped: another user is needed, who has no process yet";
  EXPECT_EXIT(std::_Exit(starve(port, *pool)), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace vhostx::test
