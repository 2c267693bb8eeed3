// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/log_level.hpp"

#include <atomic>

#include <fmt/format.h>

namespace vhostx::tools {
namespace {

/// One process has one standard error, and one level for it.
std::atomic<LogLevel> current{LogLevel::warning};

}  // namespace

LogLevel log_level() noexcept { return current.load(std::memory_order_relaxed); }

Result<LogLevel> parse_log_level(std::string_view text) {
  for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error})
    if (text == to_string(level)) return level;
  return Error{ErrorCode::invalid_argument, fmt::format("log level '{}': expected debug, info, warning or error", text),
               0};
}

void set_log_level(LogLevel level) noexcept { current.store(level, std::memory_order_relaxed); }

}  // namespace vhostx::tools
