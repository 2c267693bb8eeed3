// SPDX-License-Identifier: BSD-3-Clause
// LogLimit: how many lines a peer may cause. Whoever can connect can do something wrong as fast as it likes, and each
// time a line tells of it; what is read by people, kept on disks and written by the control thread must not grow with
// that.
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

  /// Whether there is room for one more line. `left_out`: how many had none since the last that had, to be told of
  /// before it.
  bool take(Clock::time_point now, std::uint64_t& left_out) noexcept;

 private:
  std::mutex lock_;
  Clock::time_point last_;
  double room_ = at_once;
  std::uint64_t left_out_ = 0;
};

}  // namespace vhostx
