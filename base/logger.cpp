// SPDX-License-Identifier: BSD-3-Clause
#include "base/logger.hpp"

#include <new>

namespace vhostx {

Logger Logger::for_peer(std::string_view prefix) const {
  Logger copy = *this;
  copy.prefix_ = fmt::format("{}{}: ", prefix_, prefix);
  copy.limit_ = std::make_shared<LogLimit>(LogLimit::Clock::now());
  return copy;
}

void Logger::hand_over(LogLevel level, std::string_view line) const {
  sink_(level, prefix_.empty() ? std::string(line) : prefix_ + std::string(line));
}

void Logger::write(LogLevel level, std::string_view line) const noexcept {
  try {
    std::uint64_t left_out = 0;
    if (limit_ != nullptr && level != LogLevel::debug && !limit_->take(LogLimit::Clock::now(), left_out)) return;
    if (left_out != 0)
      hand_over(LogLevel::warning,
                fmt::format("{} lines left out: the limit is {} a second", left_out, LogLimit::per_second));
    hand_over(level, line);
  } catch (const std::bad_alloc&) {
    write_without_memory(level);
  } catch (...) {  // an exception of the application's sink must not end the control thread
  }
}

void Logger::write_without_memory(LogLevel level) const noexcept {
  try {
    sink_(level, "out of memory: a line of the log is lost");
  } catch (...) {
  }
}

}  // namespace vhostx
