// SPDX-License-Identifier: BSD-3-Clause
// FrameWatch: how long a victim's frames travel: from the time that one is shown to the back-end to the time that the
// other guest has taken it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "tests/hostile/process_facts.hpp"

namespace vhostx::hostile {

/// Any thread.
class FrameWatch {
 public:
  explicit FrameWatch(pid_t back_end);

  /// A thread of this process that frames wait for. Before any is sent.
  void add_thread(pid_t tid) { queues_.add(own_pid_, tid); }
  /// Is about to be sent. `way` is 0 or 1; numbers are of each way.
  void sent(std::size_t way, std::int64_t number);
  void arrived(std::size_t way, std::int64_t number);
  /// Sleeps, and takes note of it where the machine wakes nobody in time.
  void sleep(std::chrono::nanoseconds time);

  /// Since the last call: the longest that a frame took, without what a busy machine accounts for.
  std::chrono::nanoseconds take_longest();

 private:
  struct Sent {
    std::chrono::steady_clock::time_point at;
    std::chrono::nanoseconds excused;  ///< At that time.
  };

  std::chrono::nanoseconds not_its_fault() const;

  pid_t own_pid_;
  QueueTime queues_;
  std::atomic<std::int64_t> machine_stood_ns_{0};
  std::mutex mutex_;
  std::array<std::unordered_map<std::int64_t, Sent>, 2> under_way_;
  std::chrono::nanoseconds longest_{};
};

}  // namespace vhostx::hostile
