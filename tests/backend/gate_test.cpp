// SPDX-License-Identifier: BSD-3-Clause
// The gate between a data thread and the control thread: what swap() gives back is used by nobody. CTest runs it twice,
// the second time without membarrier(2).
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "backend/ring/heavy_fence.hpp"
#include "backend/ring/vring_gate.hpp"
#include "tests/backend/forbid_membarrier.hpp"
#include "tests/support/emulated_kernel.hpp"
#include "tests/support/fake_guest.hpp"
#include "tests/support/under_tsan.hpp"

namespace vhostx::backend {
namespace {

using test::FakeGuest;

constexpr std::uint64_t guest_address = 0x1000;

/// A snapshot that can be told from what is left of one: `features` is made of `serial`.
std::unique_ptr<RunningVring> snapshot(std::uint64_t serial, std::shared_ptr<const memory::GuestMemory> memory = {}) {
  auto running = std::make_unique<RunningVring>();
  running->serial = serial;
  running->features = ~serial;
  running->memory = std::move(memory);
  return running;
}

/// Nobody may look any more: whoever does is wrong, or is found by a sanitizer.
void spoil_and_free(std::unique_ptr<const RunningVring> before) {
  if (before == nullptr) return;
  const_cast<RunningVring&>(*before).features = before->serial;
}

/// Bursts until the end, each of which looks at the snapshot again and again.
class Bursts {
 public:
  explicit Bursts(VringGate& gate) : thread_([this, &gate] { run(gate); }) {
    while (done_ == 0) std::this_thread::yield();
  }
  ~Bursts() { stop(); }
  void stop() {
    ended_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::uint64_t wrong() const { return wrong_; }

 private:
  void run(VringGate& gate) {
    for (std::uint64_t i = 0; !ended_; ++i) {
      delay_stores(i);
      const VringGate::Pass pass(gate);
      if (pass.running != nullptr)
        for (std::uint64_t look = 0; look < i % 32; ++look) look_at(*pass.running);
      done_.store(i + 1, std::memory_order_relaxed);
    }
  }
  /// Stores that miss the caches: the gate's own leaves the processor behind them, and is late for the other side.
  void delay_stores(std::uint64_t round) {
    for (std::uint64_t i = 0; i < round % 16; ++i) {
      place_ = place_ * 6364136223846793005 + 1442695040888963407;
      cold_[(place_ >> 32) % cold_.size()] = 1;
    }
  }
  void look_at(const RunningVring& running) {
    const auto read = [](const std::uint64_t& value) { return *static_cast<const volatile std::uint64_t*>(&value); };
    if (read(running.features) != ~read(running.serial)) ++wrong_;
    if (running.memory == nullptr) return;
    const auto byte = running.memory->translate(memory::GuestAddress{guest_address}, 1);  // unmapped: SIGSEGV
    if (!byte || *static_cast<const volatile std::uint8_t*>(byte.data) != 42) ++wrong_;
  }

  std::atomic<bool> ended_{false};
  std::atomic<std::uint64_t> done_{0};
  std::uint64_t wrong_ = 0;
  std::uint64_t place_ = 1;
  std::vector<std::uint8_t> cold_ = std::vector<std::uint8_t>(std::size_t{32} << 20);
  std::thread thread_;
};

TEST(Gate, WhatComesBackIsUsedByNobody) {
  VringGate gate;
  Bursts bursts(gate);
  for (std::uint64_t serial = 1; serial <= 20000; ++serial) {
    spoil_and_free(gate.swap(snapshot(serial)));
    if (serial % 16 == 0) spoil_and_free(gate.swap(nullptr));
  }
  bursts.stop();
  EXPECT_EQ(bursts.wrong(), 0U);
}

TEST(Gate, MemoryIsUnmappedBehindTheLastBurst) {
  FakeGuest guest({{guest_address, 0x1000}});
  *guest.at(guest_address) = 42;
  VringGate gate;
  Bursts bursts(gate);
  for (std::uint64_t serial = 1; serial <= 2000; ++serial) spoil_and_free(gate.swap(snapshot(serial, guest.map())));
  spoil_and_free(gate.swap(nullptr));
  bursts.stop();
  EXPECT_EQ(bursts.wrong(), 0U);
}

TEST(Gate, SwapWaitsForTheBurstInProgress) {
  VringGate gate;
  EXPECT_EQ(gate.swap(snapshot(1)), nullptr);
  std::atomic<bool> returned{false};
  std::thread control;
  {
    const VringGate::Pass pass(gate);
    ASSERT_NE(pass.running, nullptr);
    control = std::thread([&] {
      EXPECT_EQ(gate.swap(snapshot(2))->serial, 1U);
      returned = true;
    });
    while (gate.current() == pass.running) std::this_thread::yield();
    for (int i = 0; i < 2000; ++i) std::this_thread::yield();
    EXPECT_FALSE(returned);
    EXPECT_EQ(pass.running->serial, 1U);
  }
  control.join();
  EXPECT_TRUE(returned);
  EXPECT_EQ(VringGate::Pass(gate).running->serial, 2U);
}

TEST(Gate, IsShutAtFirstAndAfterNull) {
  VringGate gate;
  EXPECT_EQ(VringGate::Pass(gate).running, nullptr);
  gate.swap(snapshot(1));
  EXPECT_EQ(VringGate::Pass(gate).running, gate.current());
  EXPECT_EQ(gate.swap(nullptr)->serial, 1U);
  EXPECT_EQ(VringGate::Pass(gate).running, nullptr);
  EXPECT_EQ(gate.swap(nullptr), nullptr);
}

// The counter of passes wraps, and odd stays odd: nothing waits for ever.
TEST(Gate, EachPassEndsTheOneBefore) {
  VringGate gate;
  for (std::uint64_t serial = 1; serial < 100; ++serial) {
    const auto before = gate.swap(snapshot(serial));
    for (std::uint64_t i = 0; i < serial; ++i) EXPECT_EQ(VringGate::Pass(gate).running->serial, serial);
  }
}

// Misuse, which a debug build asserts.
#ifdef NDEBUG
TEST(Gate, TwoThreadsInsideAtOnceLeaveNothingToWaitFor) {
  VringGate gate(std::chrono::milliseconds(20));
  gate.swap(snapshot(1));
  auto first = std::make_unique<VringGate::Pass>(gate);
  auto second = std::make_unique<VringGate::Pass>(gate);
  first.reset();
  second.reset();
  EXPECT_NE(gate.swap(snapshot(2)), nullptr);
  EXPECT_FALSE(gate.is_stuck());
}
#endif

TEST(Gate, ABurstThatDoesNotEndIsNotWaitedForLongerThanThat) {
  VringGate gate(std::chrono::milliseconds(20));
  gate.swap(snapshot(1));
  auto pass = std::make_unique<VringGate::Pass>(gate);
  EXPECT_EQ(gate.swap(snapshot(2)), nullptr);
  EXPECT_TRUE(gate.is_stuck());
  EXPECT_EQ(gate.swap(nullptr), nullptr);
  EXPECT_EQ(pass->running->serial, 1U) << "what it began with is kept";
  pass.reset();
  EXPECT_FALSE(gate.is_stuck());
  EXPECT_EQ(gate.swap(snapshot(3)), nullptr);
  EXPECT_EQ(VringGate::Pass(gate).running->serial, 3U);
  EXPECT_EQ(gate.swap(nullptr)->serial, 3U);
}

TEST(Gate, DrainWaitsForABurstThatBeganWithTheGateShut) {
  VringGate gate;
  std::atomic<bool> inside{false};
  std::atomic<bool> may_end{false};
  std::atomic<bool> ended{false};
  std::thread burst([&] {
    const VringGate::Pass pass(gate);
    EXPECT_EQ(pass.running, nullptr);
    inside = true;
    while (!may_end) std::this_thread::yield();
    ended = true;
  });
  while (!inside) std::this_thread::yield();
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // drain() is more likely to be waiting then
    may_end = true;
  });
  gate.drain();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(gate.is_stuck());
  burst.join();
  release.join();
}

TEST(Gate, DrainKeepsWhatABurstThatDoesNotEndUses) {
  VringGate gate(std::chrono::milliseconds(20));
  gate.swap(snapshot(1));
  auto pass = std::make_unique<VringGate::Pass>(gate);
  EXPECT_EQ(gate.swap(nullptr), nullptr);
  gate.drain();
  EXPECT_TRUE(gate.is_stuck());
  EXPECT_EQ(pass->running->serial, 1U);
  pass.reset();
  EXPECT_FALSE(gate.is_stuck());
}

TEST(Gate, ALongWaitIsReportedOnce) {
  int reports = 0;
  VringGate gate(VringGate::long_wait + std::chrono::milliseconds(200), {[&reports] { ++reports; }, {}});
  gate.swap(snapshot(1));
  auto pass = std::make_unique<VringGate::Pass>(gate);
  EXPECT_EQ(gate.swap(nullptr), nullptr);
  EXPECT_EQ(reports, 1);
  pass.reset();
  EXPECT_FALSE(gate.is_stuck());
}

#ifdef VHOSTX_CHECK_THREADS
TEST(Gate, TheSecondOfTwoThreadsIsRefusedAndBothAreNamed) {
  int found = 0;
  VringGate gate(VringGate::patience_usual, {{}, [&found] { ++found; }});
  gate.swap(snapshot(1));
  auto first = std::make_unique<VringGate::Pass>(gate);
  pid_t second = 0;
  std::thread([&] {
    second = static_cast<pid_t>(::syscall(SYS_gettid));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(VringGate::Pass(gate).running, nullptr);
  }).join();
  EXPECT_EQ(found, 1);
  const auto misuse = gate.take_misuse();
  ASSERT_TRUE(misuse);
  EXPECT_EQ(misuse->inside, static_cast<std::uint32_t>(::syscall(SYS_gettid)));
  EXPECT_EQ(misuse->refused, static_cast<std::uint32_t>(second));
  EXPECT_FALSE(gate.take_misuse()) << "reported once";
  EXPECT_EQ(first->running->serial, 1U);
  first.reset();
  std::thread([&] { EXPECT_EQ(VringGate::Pass(gate).running->serial, 1U); }).join();
}
#endif

bool kernel_has_expedited() {
  const long commands = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  return commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
}

TEST(HeavyFence, IsUsedWhereTheKernelHasIt) {
  EXPECT_EQ(enable_heavy_fence(), !test::under_tsan && kernel_has_expedited());
  EXPECT_EQ(enable_heavy_fence(), enable_heavy_fence());
  if (test::runs_without_membarrier()) {
    EXPECT_FALSE(enable_heavy_fence());
  }
}

// Forbidden after the first gate was made: the control thread waits longer than any store can take.
TEST(HeavyFence, ForbiddenLaterIsWaitedFor) {
  if (!test::has_seccomp()) GTEST_SKIP() << test::no_seccomp;
  VringGate gate;
  Bursts bursts(gate);
  std::thread([&gate] {
    test::forbid_membarrier();
    const auto begin = std::chrono::steady_clock::now();
    heavy_fence();
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1));
    for (std::uint64_t serial = 1; serial <= 20; ++serial) spoil_and_free(gate.swap(snapshot(serial)));
  }).join();
  bursts.stop();
  EXPECT_EQ(bursts.wrong(), 0U);
}

}  // namespace
}  // namespace vhostx::backend
