// SPDX-License-Identifier: BSD-3-Clause
// What the data path may not do: allocate, and make a system call other than the one that signals the guest's call
// eventfd. Both are watched from outside: malloc is replaced, and a seccomp filter turns any other system call into a
// signal.
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <rte_mbuf.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <vhostx/transfer.hpp>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/bench_port.hpp"
#include "tests/support/emulated_kernel.hpp"

namespace {

thread_local bool in_burst = false;
std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> system_calls{0};
std::atomic<int> last_system_call{-1};

void count_allocation() noexcept {
  if (in_burst) ++allocations;
}

}  // namespace

// glibc lets a program have its own; the library's calls find these first.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void __libc_free(void*);
void* __libc_memalign(std::size_t, std::size_t);

__attribute__((visibility("default"))) void* malloc(std::size_t size) {
  count_allocation();
  return __libc_malloc(size);
}
__attribute__((visibility("default"))) void* calloc(std::size_t count, std::size_t size) {
  count_allocation();
  return __libc_calloc(count, size);
}
__attribute__((visibility("default"))) void* realloc(void* old, std::size_t size) {
  count_allocation();
  return __libc_realloc(old, size);
}
__attribute__((visibility("default"))) void* aligned_alloc(std::size_t alignment, std::size_t size) {
  count_allocation();
  return __libc_memalign(alignment, size);
}
__attribute__((visibility("default"))) void free(void* memory) {
  if (memory != nullptr) count_allocation();
  __libc_free(memory);
}
}

namespace vhostx::bench {
namespace {

void count_system_call(int, siginfo_t* info, void*) {
  if (!in_burst) return;
  ++system_calls;
  last_system_call = info->si_syscall;
}

/// From here on this thread may signal, ask how much of the processor that took it (after one that seemed long, as on a
/// busy machine; base/slow_signals.hpp), and end; anything else is a SIGSYS, and is not done.
void forbid_system_calls() {
  if (!test::has_seccomp()) return;
  void* (*volatile allocate)(std::size_t) = std::malloc;
  std::free(allocate(1));  // the end of a thread frees: glibc's cache for that is set up now, while it may be
  struct sigaction action {};
  action.sa_sigaction = count_system_call;
  action.sa_flags = SA_SIGINFO;
  ASSERT_EQ(::sigaction(SIGSYS, &action, nullptr), 0);
  std::array<sock_filter, 10> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 7, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_submit, 6, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_THREAD_CPUTIME_ID, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

/// Runs `work` while both are watched.
template <typename Work>
auto watched(Work work) {
  in_burst = true;
  auto result = work();
  in_burst = false;
  return result;
}

/// Guest to host and back, `rounds` bursts of 32. What a worker does, and nothing of gtest's: that would allocate.
bool run_bursts(BenchPort& port, rte_mempool* pool, int rounds) {
  std::array<rte_mbuf*, 32> packets;
  for (int i = 0; i < rounds; ++i) {
    port.post_transmit(32);
    port.post_receive(32);
    const auto got = watched([&] { return port.from_guest().dequeue_burst(pool, packets.data(), 32); });
    const auto put = watched([&] { return port.to_guest().enqueue_burst(packets.data(), got); });
    watched([&] { return port.from_guest().set_notifications(i % 2 == 0); });
    rte_pktmbuf_free_bulk(packets.data(), got);
    if (got != 32 || put != 32) return false;
  }
  return true;
}

/// The same from ring to ring; every other burst leaves a part behind, and copies a packet.
bool run_transfers(BenchPort& port, Transfer& transfer, rte_mempool* pool, int rounds) {
  std::array<std::uint8_t, 32> which;
  std::iota(which.begin(), which.end(), std::uint8_t{0});
  for (int i = 0; i < rounds; ++i) {
    port.post_transmit(32);
    port.post_receive(32);
    for (std::uint16_t done = 0; done < 32;) {
      const auto got = watched([&] { return transfer.begin(port.from_guest(), 32); });
      if (got == 0) return false;
      const auto part = i % 2 != 0 && got > 5 ? static_cast<std::uint16_t>(got - 5) : got;
      rte_mbuf* const copy = watched([&] { return transfer.copy(0, pool); });
      const auto put = watched([&] { return transfer.move(which.data(), part, port.to_guest()); });
      watched([&] {
        transfer.end(part);
        return 0;
      });
      rte_pktmbuf_free(copy);
      if (put != part || copy == nullptr) return false;
      done = static_cast<std::uint16_t>(done + part);
    }
  }
  return true;
}

/// Nothing is copied: packets are lent and freed, buffers are borrowed, filled and committed. All of it is watched.
bool run_loans(BenchPort& port, rte_mempool* pool, int rounds) {
  std::array<rte_mbuf*, 32> packets;
  for (int i = 0; i < rounds; ++i) {
    port.post_transmit(32);
    port.post_receive(32);
    const auto got = watched([&] {
      const auto count = port.from_guest().dequeue_burst(pool, packets.data(), 32);
      rte_pktmbuf_free_bulk(packets.data(), count);
      return count;
    });
    const auto back = watched([&] { return port.from_guest().poll_completions(); });
    const auto put = watched([&] {
      const auto count = port.to_guest().borrow_burst(pool, packets.data(), 32);
      for (std::uint16_t k = 0; k < count; ++k) rte_pktmbuf_append(packets[k], 60);
      return port.to_guest().commit_burst(packets.data(), count);
    });
    if (got != 32 || back != 32 || put != 32) return false;
  }
  return true;
}

class Discipline : public ::testing::TestWithParam<BenchOptions> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Discipline,
                         ::testing::Values(BenchOptions{}, BenchOptions{.packet_bytes = 9000},
                                           BenchOptions{.shape = Shape::two_descriptors},
                                           BenchOptions{.shape = Shape::indirect},
                                           BenchOptions{.features = 1ULL << 32, .regions = 64},
                                           BenchOptions{.interrupts = true}));

/// Runs `bursts(rounds)` on a thread of its own, which may not even ask for the time. It is no lcore: it has no mempool
/// cache, and takes the longest way through the pool.
template <typename Bursts>
void expect_discipline(Bursts bursts) {
  ASSERT_TRUE(bursts(1));
  allocations = 0;
  system_calls = 0;
  bool good = false;
  std::thread worker([&] {
    forbid_system_calls();
    good = bursts(1000);
  });
  worker.join();
  EXPECT_TRUE(good);
  EXPECT_EQ(allocations, 0U);
  EXPECT_EQ(system_calls, 0U) << "the last was number " << last_system_call;
}

void system_calls_were_watched() {
  if (!test::has_seccomp()) GTEST_SKIP() << "only allocations were watched: " << test::no_seccomp;
}

TEST_P(Discipline, NoAllocationAndNoSystemCallButTheGuestsCall) {
  start_bench_eal(Pages::normal);
  BenchPort port(GetParam());
  rte_mempool* pool = bench_pool();
  expect_discipline([&](int rounds) { return run_bursts(port, pool, rounds); });
  if (GetParam().interrupts) {
    EXPECT_GT(port.to_guest().stats()[VringCounter::calls], 900U);
  }
  system_calls_were_watched();
}

TEST_P(Discipline, NorInATransfer) {
  start_bench_eal(Pages::normal);
  BenchPort port(GetParam());
  rte_mempool* pool = bench_pool();
  const auto transfer = Transfer::create();
  ASSERT_TRUE(transfer);
  expect_discipline([&](int rounds) { return run_transfers(port, **transfer, pool, rounds); });
  if (GetParam().interrupts) {
    EXPECT_GT(port.to_guest().stats()[VringCounter::calls], 900U);
  }
  system_calls_were_watched();
}

TEST_P(Discipline, NorWhereNothingIsCopied) {
  start_bench_eal(Pages::normal);
  BenchPort port(GetParam(), {.zero_copy = true, .copy_below = 0});
  rte_mempool* pool = bench_pool();
  expect_discipline([&](int rounds) { return run_loans(port, pool, rounds); });
  EXPECT_EQ(port.from_guest().stats()[VringCounter::lent], 1001U * 32);
  EXPECT_EQ(port.to_guest().stats()[VringCounter::lent], 1001U * 32);
  system_calls_were_watched();
}

TEST(Watch, SeesWhatItShallSee) {
  allocations = 0;
  watched([] {
    void* (*volatile allocate)(std::size_t) = std::malloc;  // a pair that the compiler sees may be left out
    std::free(allocate(100));
    return 0;
  });
  EXPECT_EQ(allocations, 2U);
  if (!test::has_seccomp()) GTEST_SKIP() << test::no_seccomp;
  system_calls = 0;
  std::thread([] {
    forbid_system_calls();
    watched([] { return ::syscall(SYS_getpid); });
  }).join();
  EXPECT_EQ(system_calls, 1U);
}

}  // namespace
}  // namespace vhostx::bench
