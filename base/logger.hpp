// SPDX-License-Identifier: BSD-3-Clause
// Logger: formats a line only when somebody wants it, and survives a sink that throws, or no memory for the line.
#pragma once

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
  Logger(LogSink sink, LogLevel lowest) : sink_(std::move(sink)), lowest_(lowest) {}

  /// The same sink, with "<prefix>: " before each line, and a LogLimit of its own for lines above debug: for what one
  /// peer causes.
  Logger for_peer(std::string_view prefix) const;

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
    if (!sink_ || level < lowest_) return;
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
  LogLevel lowest_ = LogLevel::info;
  std::string prefix_;
  std::shared_ptr<LogLimit> limit_;
};

}  // namespace vhostx
