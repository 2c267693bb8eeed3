// SPDX-License-Identifier: BSD-3-Clause
// Signals for eventfds that a peer shares. One that waits here waits for ever: CTest's time limit is what tells.
#include "base/peer_signals.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <functional>
#include <poll.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/event_fd.hpp"

namespace vhostx {
namespace {

constexpr std::uint64_t most = ~std::uint64_t{0} - 1;

UniqueFd blocking_event() { return UniqueFd(::eventfd(0, EFD_CLOEXEC)); }

void fill(const UniqueFd& event) { ASSERT_EQ(::write(event.get(), &most, sizeof most), 8); }

std::uint64_t taken(const UniqueFd& event) {
  pollfd signalled{event.get(), POLLIN, 0};
  std::uint64_t count = 0;
  if (::poll(&signalled, 1, 0) != 1) return 0;
  return ::read(event.get(), &count, sizeof count) == sizeof count ? count : 0;
}

/// Runs `body` in a child; true: it said so.
bool in_child(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// From here on `call` fails in this thread, as in a sandbox.
bool forbid(int call) {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

class PeerSignals : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto good = prepare_peer_signals();
    if (!good) GTEST_SKIP() << good.error().message;
  }
};

TEST_F(PeerSignals, AFullEventfdThatBlocksHoldsUpNobody) {
  const UniqueFd event = blocking_event();
  fill(event);
  for (int i = 0; i < 1000; ++i) signal_peer(event.get());
  EXPECT_GE(taken(event), most);  // the kernel may fill the last place, which write() does not
}

// Not one is written in the end: the contexts' rings of completions never run full.
TEST_F(PeerSignals, EachIsCounted) {
  EXPECT_TRUE(in_child([] {
    const UniqueFd event = blocking_event();
    if (!prepare_peer_signals() || !forbid(SYS_write)) return false;
    for (int i = 0; i < 100'000; ++i) signal_peer(event.get());
    return taken(event) == 100'000;
  }));
}

TEST_F(PeerSignals, OfManyThreadsToo) {
  const UniqueFd event = blocking_event();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 25'000; ++k) signal_peer(event.get());
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken(event), 100'000U);
}

TEST_F(PeerSignals, AnAdoptedEventfdIsThePeersAsWell) {
  const UniqueFd peers = blocking_event();
  auto adopted = EventFd::adopt(UniqueFd(::dup(peers.get())), "a call");
  ASSERT_TRUE(adopted);
  EXPECT_NE(::fcntl(peers.get(), F_GETFL) & O_NONBLOCK, 0);
  adopted->signal();
  EXPECT_EQ(taken(peers), 1U);
  fill(peers);
  ASSERT_EQ(::fcntl(peers.get(), F_SETFL, O_RDWR), 0);
  adopted->signal();
  EXPECT_GE(taken(peers), most);
}

TEST_F(PeerSignals, ADescriptorThatIsNoneHarmsNobody) {
  signal_peer(-1);
  const UniqueFd event = blocking_event();
  signal_peer(event.get());
  EXPECT_EQ(taken(event), 1U);
}

TEST_F(PeerSignals, AChildHasItsParentsWayOnlyOnceItPrepares) {
  EXPECT_TRUE(in_child([] {
    const UniqueFd event = blocking_event();
    signal_peer(event.get());
    return taken(event) == 1;
  }));
  EXPECT_TRUE(in_child([] {
    const UniqueFd event = blocking_event();
    if (!prepare_peer_signals() || !forbid(SYS_write)) return false;
    signal_peer(event.get());
    return taken(event) == 1;
  }));
}

TEST_F(PeerSignals, WhereASandboxForbidsRequestsTheyAreWritten) {
  EXPECT_TRUE(in_child([] {
    const UniqueFd event = blocking_event();
    if (!prepare_peer_signals() || !forbid(SYS_io_submit)) return false;
    signal_peer(event.get());
    if (taken(event) != 1) return false;
    if (::write(event.get(), &most, sizeof most) != 8) return false;
    signal_peer(event.get());  // full, and seen to be so
    return taken(event) == most;
  }));
}

TEST_F(PeerSignals, WhereASandboxForbidsThemAllItIsSaid) {
  for (const int call : {SYS_io_setup, SYS_io_submit})
    EXPECT_TRUE(in_child([call] {
      if (!forbid(call)) return false;
      const auto good = prepare_peer_signals();
      if (good || good.error().code != ErrorCode::system || good.error().message.find("io_") != 0) return false;
      const UniqueFd event = blocking_event();
      signal_peer(event.get());
      return taken(event) == 1;
    })) << call;
}

TEST_F(PeerSignals, PreparedTwiceIsPreparedOnce) { EXPECT_TRUE(prepare_peer_signals()); }

}  // namespace
}  // namespace vhostx
