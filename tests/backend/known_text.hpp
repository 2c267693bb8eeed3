// SPDX-License-Identifier: BSD-3-Clause
// What an application of a test knows, which its keeper holds for the next process.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <vhostx/result.hpp>

#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {

inline std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline std::string text_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += static_cast<char>(byte);
  return text;
}

/// Any thread.
class KnownText {
 public:
  void learn(std::string text) {
    const std::lock_guard guard(lock_);
    text_ = std::move(text);
  }
  /// Called within each save(), or load().
  void at_save(std::function<void()> call) {
    const std::lock_guard guard(lock_);
    at_save_ = std::move(call);
  }
  void at_load(std::function<Result<void>()> call) {
    const std::lock_guard guard(lock_);
    at_load_ = std::move(call);
  }
  unsigned saves() {
    const std::lock_guard guard(lock_);
    return saves_;
  }
  void until_saved(unsigned more) {
    std::unique_lock guard(lock_);
    const unsigned wanted = saves_ + more;
    EXPECT_TRUE(came_.wait_for(guard, patience, [&] { return saves_ >= wanted; }));
  }

 protected:
  std::vector<std::byte> save() {
    const std::lock_guard guard(lock_);
    ++saves_;
    came_.notify_all();
    if (at_save_) at_save_();
    return bytes_of(text_);
  }
  Result<void> load(std::span<const std::byte> bytes) {
    hear("load(" + text_of(bytes) + ")");
    const std::lock_guard guard(lock_);
    return at_load_ ? at_load_() : Result<void>{};
  }
  void hear(const std::string& what) {
    const std::lock_guard guard(lock_);
    heard_ += what + ' ';
    came_.notify_all();
  }

  std::mutex lock_;
  std::condition_variable came_;
  std::string heard_;  // loads, and what else derived classes hear, in their order

 private:
  std::string text_ = "nothing";
  unsigned saves_ = 0;
  std::function<void()> at_save_;
  std::function<Result<void>()> at_load_;
};

}  // namespace vhostx::test
