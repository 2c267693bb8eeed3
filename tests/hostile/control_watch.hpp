// SPDX-License-Identifier: BSD-3-Clause
// ControlWatch: a well-behaved front-end that asks the back-end for its features all the time, and measures how long
// the control thread lets it wait.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>

#include "tools/probe/check/link.hpp"

namespace vhostx::hostile {

class ControlWatch {
 public:
  /// `link` is its own from now on, and outlives it.
  ControlWatch(tools::probe::Link& link, pid_t back_end);
  ~ControlWatch();
  ControlWatch(const ControlWatch&) = delete;
  ControlWatch& operator=(const ControlWatch&) = delete;

  /// Since the last call.
  struct Finding {
    std::chrono::nanoseconds longest{};  ///< Of one answer, without what a busy machine accounts for.
    unsigned answers = 0;
    std::string failure;  ///< An answer that did not come; empty: all did.
  };
  Finding take_finding();

 private:
  void run();
  void ask();
  std::chrono::nanoseconds not_its_fault() const;

  tools::probe::Link& link_;
  pid_t back_end_;
  pid_t control_thread_;
  pid_t own_thread_ = 0;
  std::mutex mutex_;
  Finding finding_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace vhostx::hostile
