// SPDX-License-Identifier: BSD-3-Clause
// ReleasePool: the threads that close descriptors and unmap memory of peers, for all ports of a Backend.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <sched.h>

#include "base/releases.hpp"

namespace vhostx {

/// Two threads: one releases, the other watches it. If a release takes longer than held_up_after, its thread is left
/// with it ("held up"). The watcher then releases the rest, and a new watcher is started. So a port can delay only its
/// own releases, and has at most Releases::held_up_max threads. Threads are detached and hold the pool.
class ReleasePool : public std::enable_shared_from_this<ReleasePool> {
 public:
  static constexpr std::chrono::milliseconds held_up_after{20};

  /// Threads run where the calling thread may run.
  ReleasePool() noexcept;
  /// Threads run on `cpus`.
  explicit ReleasePool(const cpu_set_t& cpus) noexcept : cpus_(cpus), cpus_known_(true) {}
  ReleasePool(const ReleasePool&) = delete;
  ReleasePool& operator=(const ReleasePool&) = delete;

  /// Starts a thread unless there is one. False: that failed; items wait for the next call or the next hand-over. Any
  /// thread.
  bool prepare() noexcept;
  /// Threads end when nothing is left to release. A thread that is held up ends later; nothing waits for it. Another
  /// hand-over starts a thread again. Any thread.
  void finish() noexcept;

  /// Items handed over and not yet released, in all pools of the process.
  static std::size_t pending_in_process() noexcept;

 private:
  friend class Releases;
  struct Worker;

  void add_ready(Releases& releases) noexcept;
  bool has_thread() const noexcept { return awake_.load() != 0; }
  bool start_thread() noexcept;
  static void* run_thread(void* pool) noexcept;
  void run() noexcept;
  void work(std::unique_lock<std::mutex>& guard, Worker& self) noexcept;
  bool leaves() const noexcept;
  void serve(std::unique_lock<std::mutex>& guard, Worker& self) noexcept;
  void sleep(std::unique_lock<std::mutex>& guard, std::uint32_t seen) noexcept;
  void wake() noexcept;
  void look_after_brisk() noexcept;
  void gather() noexcept;
  void relist(Releases& releases) noexcept;

  std::atomic<Releases*> newly_ready_{nullptr};
  std::atomic<std::uint32_t> awake_{0};  // threads that are not held up
  std::atomic<std::uint32_t> wakes_{0};  // a futex
  std::atomic<std::uint32_t> sleepers_{0};
  std::atomic<bool> serving_{false};  // a thread will look at newly_ready_ before it sleeps
  std::atomic<bool> finished_{false};
  cpu_set_t cpus_;
  bool cpus_known_;

  std::mutex lock_;  // between the pool's threads; a hand-over takes no lock
  Releases* ready_first_ = nullptr;
  Releases* ready_last_ = nullptr;
  Worker* brisk_ = nullptr;     // the one that releases and is not held up
  std::uint32_t watchers_ = 0;  // sleep with a time-out
};

}  // namespace vhostx
