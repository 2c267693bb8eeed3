// SPDX-License-Identifier: BSD-3-Clause
#include "base/logger.hpp"

#include <new>
#include <string>

namespace vhostx {

Logger Logger::with_prefix(std::string_view prefix) const {
  Logger copy = *this;
  copy.prefix_ = fmt::format("{}{}: ", prefix_, prefix);
  return copy;
}

void Logger::write(LogLevel level, std::string_view line) const noexcept {
  try {
    sink_(level, prefix_.empty() ? std::string(line) : prefix_ + std::string(line));
  } catch (const std::bad_alloc&) {
    write_without_memory(level);
  } catch (...) {  // the application's fault must not end the control thread
  }
}

void Logger::write_without_memory(LogLevel level) const noexcept {
  try {
    sink_(level, "out of memory for a line of the log");
  } catch (...) {
  }
}

}  // namespace vhostx
