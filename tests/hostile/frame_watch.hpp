// SPDX-License-Identifier: BSD-3-Clause
// FrameWatch: how long a victim's frames travel: from the time that one is shown to the back-end to the time that the
// other guest has taken it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>

#include "tests/hostile/process_facts.hpp"

namespace vhostx::hostile {

/// One thread sends; frames may arrive on any.
class FrameWatch {
 public:
  explicit FrameWatch(pid_t back_end);

  /// A thread of this process that takes what arrives. Before anything is sent.
  void add_receiver(pid_t tid) { threads_.add(own_pid_, tid); }
  /// Of the thread that sends from now on; by itself.
  void begin_sending();
  /// Calls `send`, which sends this frame. `way` is 0 or 1; numbers are of each.
  void send(std::size_t way, std::int64_t number, const std::function<void()>& send);
  void arrived(std::size_t way, std::int64_t number);

  /// Since the last call: the longest that a frame took, without what a busy machine accounts for.
  std::chrono::nanoseconds take_longest();

 private:
  struct Sent {
    std::chrono::steady_clock::time_point at;
    std::chrono::nanoseconds excused;  ///< At that time.
  };

  std::chrono::nanoseconds not_its_fault() const;
  std::chrono::nanoseconds sender_in_queue() const { return time_in_queue(own_pid_, sender_); }

  pid_t own_pid_;
  std::atomic<pid_t> sender_{0};
  QueueTime threads_;  ///< The back-end's workers and the receivers.
  mutable std::mutex mutex_;
  std::chrono::nanoseconds queued_in_sends_{};  ///< The sender, while it sent.
  std::chrono::nanoseconds send_began_{-1};     ///< Its time in the queue when the current send began; -1: none is.
  std::array<std::unordered_map<std::int64_t, Sent>, 2> under_way_;
  std::chrono::nanoseconds longest_{};
};

}  // namespace vhostx::hostile
