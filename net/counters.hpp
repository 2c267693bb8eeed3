// SPDX-License-Identifier: BSD-3-Clause
// Counters: one thread counts without a locked instruction, any thread reads and resets.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vhostx::net {

template <std::size_t Count>
class Counters {
 public:
  /// Plain load, add, store: the data thread is the only writer, so no locked instruction is needed.
  void add(std::size_t i, std::uint64_t amount) noexcept {
    auto& value = values_[i];
    value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  /// Since the beginning, whatever was reset.
  std::uint64_t value(std::size_t i) const noexcept { return values_[i].load(std::memory_order_relaxed); }

  /// Where value(i) is, for other processes.
  const void* address(std::size_t i) const noexcept { return &values_[i]; }

  /// Since the last reset. The base first: its acquire pairs with reset()'s release, so that a reader sees the count
  /// that the base was taken from, or a later one, and the difference is never negative.
  std::uint64_t shown(std::size_t i) const noexcept {
    const std::uint64_t base = base_[i].load(std::memory_order_acquire);
    return value(i) - base;
  }
  std::array<std::uint64_t, Count> snapshot() const noexcept {
    std::array<std::uint64_t, Count> values;
    for (std::size_t i = 0; i < Count; ++i) values[i] = shown(i);
    return values;
  }

  /// shown(i) is `shown_now` from now on, and what is counted later. Any thread, but not while reset() runs.
  void restore(std::size_t i, std::uint64_t shown_now) noexcept {
    base_[i].store(value(i) - shown_now, std::memory_order_release);
  }

  /// The data thread goes on counting: what it has reached is remembered. Any thread.
  void reset() noexcept {
    for (std::size_t i = 0; i < Count; ++i) base_[i].store(value(i), std::memory_order_release);
  }

 private:
  std::array<std::atomic<std::uint64_t>, Count> values_{};
  std::array<std::atomic<std::uint64_t>, Count> base_{};  // no data thread touches it
};

}  // namespace vhostx::net
