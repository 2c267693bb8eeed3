// SPDX-License-Identifier: BSD-3-Clause
// EventQueue: port events from the control thread to the main one, which prints them: standard output may block, and
// guests' messages must not wait for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include <vhostx/events.hpp>
#include <vhostx/result.hpp>

namespace vhostx::tools {

struct TimedEvent {
  double seconds = 0;  ///< Since the switch began.
  std::string port;
  PortEvent event;
};

class EventQueue {
 public:
  EventQueue();
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  /// Any thread. Past events_max waiting ones it counts what it loses.
  void push(const std::string& port, const PortEvent& event);
  /// Makes fd() readable, though nothing waits here: the main thread has something else to look at. Any thread.
  void wake() noexcept;
  /// All that wait, oldest first.
  std::vector<TimedEvent> take();
  std::uint64_t lost() const;

  /// Readable while something waits; -1 where the kernel gave none.
  int fd() const noexcept { return fd_; }
  double seconds() const noexcept;

 private:
  static constexpr std::size_t events_max = 65536;

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const int fd_;
  mutable std::mutex mutex_;
  std::vector<TimedEvent> waiting_;
  std::uint64_t lost_ = 0;
};

}  // namespace vhostx::tools
