// SPDX-License-Identifier: BSD-3-Clause
// Logger: formats a line only if its level is enabled. It never throws: not when the sink does, nor without memory.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <vhostx/log.hpp>

#include "base/log_limit.hpp"

namespace vhostx {

class Logger {
 public:
  Logger() = default;
  Logger(LogSink sink, LogLevel lowest)
      : sink_(std::move(sink)), lowest_(std::make_shared<std::atomic<LogLevel>>(lowest)) {}

  /// The same sink, with "<prefix>: " before each line, and a LogLimit of its own for lines above debug: for what one
  /// peer causes.
  Logger for_peer(std::string_view prefix) const;

  /// Of this Logger, of those that it was copied from and of those of peers. Any thread.
  void set_level(LogLevel lowest) const noexcept {
    if (lowest_ != nullptr) lowest_->store(lowest, std::memory_order_relaxed);
  }
  /// Whether lines of this level are wanted. Any thread.
  bool writes(LogLevel level) const noexcept { return sink_ && level >= lowest_->load(std::memory_order_relaxed); }

  template <typename... Args>
  void debug(fmt::format_string<Args...> text, Args&&... args) const noexcept {
    log(LogLevel::debug, text, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) const noexcept {
    log(LogLevel::info, text, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void warning(fmt::format_string<Args...> text, Args&&... args) const noexcept {
    log(LogLevel::warning, text, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) const noexcept {
    log(LogLevel::error, text, std::forward<Args>(args)...);
  }

 private:
  template <typename... Args>
  void log(LogLevel level, fmt::format_string<Args...> text, Args&&... args) const noexcept {
    if (!writes(level)) return;
    try {
      write(level, fmt::format(text, std::forward<Args>(args)...));
    } catch (...) {
      write_without_memory(level);
    }
  }
  void write(LogLevel level, std::string_view line) const noexcept;
  void hand_over(LogLevel level, std::string_view line) const;
  void write_without_memory(LogLevel level) const noexcept;

  LogSink sink_;
  std::shared_ptr<std::atomic<LogLevel>> lowest_;  // there is one where there is a sink
  std::string prefix_;
  std::shared_ptr<LogLimit> limit_;
};

}  // namespace vhostx
