// SPDX-License-Identifier: BSD-3-Clause
// Counter: written by one thread at a time, read by any; no locked instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace vhostx::tools {

class Counter {
 public:
  void add(std::uint64_t amount) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  /// Not while another thread is in add().
  void reset() noexcept { value_.store(0, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace vhostx::tools
