// SPDX-License-Identifier: BSD-3-Clause
// Choices: an input read as a row of decisions, so that a fuzzer's mutations are other decisions and not other bytes of
// something that must be well-formed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace vhostx::fuzz {

/// One byte a decision. Behind the end of the input each is 1: never what is rare.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size) noexcept : next_(data), end_(data + size) {}

  bool empty() const noexcept { return next_ == end_; }
  std::uint8_t byte() noexcept { return empty() ? std::uint8_t{1} : *next_++; }
  /// 0 to n - 1; n is at most 256.
  std::uint32_t below(std::uint32_t n) noexcept { return byte() % n; }
  bool one_in(std::uint32_t n) noexcept { return n == 1 || below(n) == 0; }
  template <typename T>
  T pick(std::initializer_list<T> all) noexcept {
    return all.begin()[below(static_cast<std::uint32_t>(all.size()))];
  }
  /// Any number of eight bytes.
  std::uint64_t number() noexcept {
    std::uint64_t all = 0;
    for (int i = 0; i < 8; ++i) all = all << 8 | byte();
    return all;
  }

 private:
  const std::uint8_t* next_;
  const std::uint8_t* end_;
};

}  // namespace vhostx::fuzz
