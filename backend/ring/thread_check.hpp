// SPDX-License-Identifier: BSD-3-Clause
// ThreadCheck: detects two threads in one vring at a time, with the build option VHOSTX_CHECK_THREADS. Without the
// option it costs no instruction: debug builds assert instead, and release builds do not check.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <unistd.h>

#include <sys/syscall.h>

namespace vhostx::backend {

#ifdef VHOSTX_CHECK_THREADS
inline constexpr bool checks_threads = true;
#else
inline constexpr bool checks_threads = false;
#endif

class ThreadCheck {
 public:
  /// Two threads, by gettid(2). The same one twice: a call between Transfer::begin() and end().
  struct Misuse {
    std::uint32_t inside = 0;   ///< Was in a call.
    std::uint32_t refused = 0;  ///< Came meanwhile; its call does nothing.
  };
  enum class Entry {
    free,     ///< No other thread is inside: call leave() afterwards.
    refused,  ///< Another thread is inside; a misuse was found before.
    found,    ///< Another thread is inside, for the first time: take_misuse() returns both.
  };

  /// Data thread.
  Entry enter() noexcept {
    std::uint32_t inside = 0;
    const std::uint32_t self = this_thread();
    if (inside_.compare_exchange_strong(inside, self, std::memory_order_acquire, std::memory_order_relaxed))
      return Entry::free;
    std::uint64_t none = 0;
    const bool first =
        misuse_.compare_exchange_strong(none, std::uint64_t{inside} << 32 | self, std::memory_order_relaxed);
    return first ? Entry::found : Entry::refused;
  }
  void leave() noexcept { inside_.store(0, std::memory_order_release); }

  /// Control thread. Returns the first misuse, once.
  std::optional<Misuse> take_misuse() noexcept {
    const std::uint64_t both = misuse_.load(std::memory_order_relaxed);
    if (both == 0 || taken_) return std::nullopt;
    taken_ = true;
    return Misuse{static_cast<std::uint32_t>(both >> 32), static_cast<std::uint32_t>(both)};
  }

 private:
  static std::uint32_t this_thread() noexcept {
    static thread_local const auto number = static_cast<std::uint32_t>(::syscall(SYS_gettid));
    return number;
  }

  std::atomic<std::uint32_t> inside_{0};
  std::atomic<std::uint64_t> misuse_{0};
  bool taken_ = false;
};

}  // namespace vhostx::backend
