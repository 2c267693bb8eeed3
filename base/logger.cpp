// SPDX-License-Identifier: BSD-3-Clause
#include "base/logger.hpp"

namespace vhostx {

Logger Logger::with_prefix(std::string_view prefix) const {
  Logger copy = *this;
  copy.prefix_ = fmt::format("{}{}: ", prefix_, prefix);
  return copy;
}

void Logger::write(LogLevel level, std::string_view line) const noexcept {
  try {
    sink_(level, prefix_.empty() ? std::string(line) : prefix_ + std::string(line));
  } catch (...) {  // the application's fault must not end the control thread
  }
}

}  // namespace vhostx
