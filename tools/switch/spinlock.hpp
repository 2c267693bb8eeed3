// SPDX-License-Identifier: BSD-3-Clause
// Spinlock for one burst on one vring: held for microseconds, taken only when there is more than one worker.
#pragma once

#include <atomic>

#include <rte_pause.h>

namespace vhostx::tools {

class Spinlock {
 public:
  void lock() noexcept {
    while (held_.exchange(true, std::memory_order_acquire))
      while (held_.load(std::memory_order_relaxed)) rte_pause();
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

/// Holds the lock for a scope where `wanted`.
class SpinlockGuard {
 public:
  SpinlockGuard(Spinlock& lock, bool wanted) noexcept : lock_(wanted ? &lock : nullptr) {
    if (lock_ != nullptr) lock_->lock();
  }
  ~SpinlockGuard() {
    if (lock_ != nullptr) lock_->unlock();
  }
  SpinlockGuard(const SpinlockGuard&) = delete;
  SpinlockGuard& operator=(const SpinlockGuard&) = delete;

 private:
  Spinlock* lock_;
};

}  // namespace vhostx::tools
