// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/limit.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <sched.h>
#include <thread>
#include <time.h>

#include <fmt/format.h>

#include "tools/bench/packet_ring.hpp"

namespace vhostx::tools::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned idle_turns_max = 4096;  // then the other thread may need this CPU

Result<void> pin_this_thread(int cpu) {
  if (cpu < 0) return {};
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) == 0) return {};
  const int error = errno;
  return Error{ErrorCode::system, fmt::format("the limit's thread cannot run on CPU {}: {}", cpu, std::strerror(error)),
               error};
}

/// How much of the time since it was made this thread ran.
class CpuShare {
 public:
  double value() const noexcept {
    const double wall = std::chrono::duration<double>(Clock::now() - begin_).count();
    return wall > 0 ? std::min((cpu_seconds() - cpu_begin_) / wall, 1.0) : 1;
  }

 private:
  static double cpu_seconds() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  Clock::time_point begin_ = Clock::now();
  double cpu_begin_ = cpu_seconds();
};

/// Waits a little when there was nothing to do.
class Idler {
 public:
  void had(std::uint32_t packets) noexcept {
    turns_ = packets != 0 ? 0 : turns_ + 1;
    if (turns_ == 0) return;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    if (turns_ % idle_turns_max == 0) std::this_thread::yield();
  }

 private:
  unsigned turns_ = 0;
};

/// One measurement: the two threads and what they share.
class Limit {
 public:
  explicit Limit(const LimitOptions& options)
      : options_(options),
        slots_(std::bit_ceil(std::max<std::uint32_t>(options.ring_size, 2))),
        burst_(std::clamp<std::uint32_t>(options.burst, 1, slots_ / 2)),
        ring_(slots_, options.packet_bytes),
        out_(std::size_t{slots_} * ring_.stride()) {}

  Result<LimitResult> run() {
    LimitResult result;
    Result<void> produced;
    Result<void> consumed;
    double shares[2] = {1, 1};
    std::thread producer([&] { produced = produce(shares[0]); });
    std::thread consumer([&] { consumed = consume(result.pps, shares[1]); });
    consumer.join();
    stop_.store(true, std::memory_order_relaxed);
    producer.join();
    result.cpu_share = std::min(shares[0], shares[1]);
    if (!produced) return produced.error();
    if (!consumed) return consumed.error();
    return result;
  }

 private:
  /// If it cannot be pinned it continues, and reports that at the end.
  Result<void> produce(double& cpu_share) {
    auto pinned = pin_this_thread(options_.cpu_producer);
    const std::vector<std::uint8_t> packet(options_.packet_bytes, 0x5a);
    Idler idler;
    const CpuShare share;
    while (!stop_.load(std::memory_order_relaxed)) idler.had(ring_.push(packet.data(), burst_));
    cpu_share = share.value();
    return pinned;
  }

  Result<void> consume(std::vector<double>& rates, double& cpu_share) {
    if (auto pinned = pin_this_thread(options_.cpu_consumer); !pinned) return pinned;
    round();  // both threads run, caches and pages are warm
    const CpuShare share;
    for (unsigned i = 0; i < options_.rounds; ++i) rates.push_back(round());
    cpu_share = share.value();
    return {};
  }

  double round() {
    const Clock::time_point begin = Clock::now();
    std::uint64_t packets = 0;
    Idler idler;
    for (;;) {
      // The clock is read once for many bursts: it costs as much as a packet or two.
      for (unsigned turn = 0; turn < 64; ++turn) {
        const std::uint32_t popped = ring_.pop(next_out(), burst_);
        packets += popped;
        idler.had(popped);
      }
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      // Where the other thread was given no CPU meanwhile, it lasts longer.
      if (seconds >= options_.seconds && packets != 0) return static_cast<double>(packets) / seconds;
    }
  }

  /// The buffers for the next burst, from a pool of as many buffers as the ring has slots, in turn.
  std::uint8_t* next_out() noexcept {
    out_burst_ = (out_burst_ + 1) % (slots_ / burst_);
    return out_.data() + std::size_t{out_burst_} * burst_ * ring_.stride();
  }

  const LimitOptions& options_;
  std::uint32_t slots_;
  std::uint32_t burst_;
  PacketRing ring_;
  std::vector<std::uint8_t> out_;
  std::uint32_t out_burst_ = 0;
  std::atomic<bool> stop_{false};
};

}  // namespace

Result<LimitResult> measure_limit(const LimitOptions& options) { return Limit(options).run(); }

}  // namespace vhostx::tools::bench
