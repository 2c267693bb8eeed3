// SPDX-License-Identifier: BSD-3-Clause
// The processor's own clock: a few nanoseconds to read, and no system call whatever clock the kernel uses.
#pragma once

#include <cstdint>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ctime>
#endif

namespace vhostx {

/// Monotonic, and the same on all processors. The unit depends on the machine (1 to 5 GHz on x86-64).
inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  std::uint64_t now;
  asm volatile("mrs %0, cntvct_el0" : "=r"(now));
  return now;
#else
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
#endif
}

/// About 100 us; on x86-64, whose clock rate is not known here, 40 to 200 us.
inline std::uint64_t ticks_of_100_us() noexcept {
#if defined(__x86_64__)
  return 200'000;
#elif defined(__aarch64__)
  std::uint64_t a_second;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(a_second));
  return a_second / 10'000;
#else
  return 100'000;
#endif
}

}  // namespace vhostx
