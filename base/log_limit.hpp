// SPDX-License-Identifier: BSD-3-Clause
// LogLimit: how many log lines a peer may cause. A peer can make mistakes at any rate, and each is logged. The log, its
// files and the control thread's work must not grow with that rate.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace vhostx {

/// A token bucket. Any thread; not for the data path.
class LogLimit {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr unsigned at_once = 200;
  static constexpr unsigned per_second = 50;

  explicit LogLimit(Clock::time_point now) noexcept : last_(now) {}

  /// Whether one more line may be written. `left_out` is then the number of lines dropped since the last one, to be
  /// reported before it.
  bool take(Clock::time_point now, std::uint64_t& left_out) noexcept;

 private:
  std::mutex lock_;
  Clock::time_point last_;
  double room_ = at_once;
  std::uint64_t left_out_ = 0;
};

}  // namespace vhostx
