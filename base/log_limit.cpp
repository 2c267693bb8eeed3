// SPDX-License-Identifier: BSD-3-Clause
#include "base/log_limit.hpp"

#include <algorithm>
#include <utility>

namespace vhostx {

bool LogLimit::take(Clock::time_point now, std::uint64_t& left_out) noexcept {
  const std::lock_guard guard(lock_);
  const double passed = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  room_ = std::min<double>(at_once, room_ + passed * per_second);
  if (room_ < 1) {
    ++left_out_;
    return false;
  }
  room_ -= 1;
  left_out = std::exchange(left_out_, 0);
  return true;
}

}  // namespace vhostx
