// SPDX-License-Identifier: BSD-3-Clause
// BackendLog: warnings and errors that a Backend logs, for tests of what the library reports.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <vhostx/backend.hpp>

namespace vhostx::test {

/// Any thread. Must outlive the Backend.
class BackendLog {
 public:
  /// Keeps lines of this level and those above.
  explicit BackendLog(LogLevel least = LogLevel::warning) : least_(least) {}
  /// `options`, with this as the log.
  BackendOptions options(BackendOptions options = {}) {
    options.log = [this](LogLevel level, std::string_view line) {
      const std::lock_guard guard(lock_);
      if (level >= least_) lines_ += std::string(line) + '\n';
    };
    return options;
  }
  std::string lines() const {
    const std::lock_guard guard(lock_);
    return lines_;
  }
  bool has(std::string_view text) const { return count(text) != 0; }
  /// How many times `text` is in the lines.
  std::size_t count(std::string_view text) const {
    const std::string all = lines();
    std::size_t found = 0;
    for (std::size_t at = 0; (at = all.find(text, at)) != std::string::npos; at += text.size()) ++found;
    return found;
  }
  /// Waits until a line has `text`, and does `meanwhile` again and again. False: it did not come in 20 s.
  bool wait_for(
      std::string_view text, const std::function<void()>& meanwhile = [] {}) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!has(text)) {
      if (std::chrono::steady_clock::now() > end) return false;
      meanwhile();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

 private:
  const LogLevel least_;
  mutable std::mutex lock_;
  std::string lines_;
};

}  // namespace vhostx::test
