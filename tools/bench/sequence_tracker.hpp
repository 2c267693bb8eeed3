// SPDX-License-Identifier: BSD-3-Clause
// SequenceTracker: tracks which packets of a stream arrived, in which order, and how often.
#pragma once

#include <array>
#include <cstdint>

namespace vhostx::tools::bench {

/// Numbers count up from 0. The last `window` of them are remembered individually. An older one that arrives is `late`:
/// it may be a duplicate or a straggler, and is not counted as received.
class SequenceTracker {
 public:
  static constexpr std::uint64_t window = 1 << 16;

  void record(std::uint64_t number) noexcept {
    if (number == next_ && (number & 63) != 0) {  // the common case: the next one, in a word that is in use
      word(number) |= bit(number);
      ++next_;
      ++received_;
      return;
    }
    record_any(number);
  }

  /// One more than the highest number that arrived.
  std::uint64_t next() const noexcept { return next_; }
  /// Different packets.
  std::uint64_t received() const noexcept { return received_; }
  std::uint64_t duplicated() const noexcept { return duplicated_; }
  /// Arrived after one with a higher number.
  std::uint64_t reordered() const noexcept { return reordered_; }
  std::uint64_t late() const noexcept { return late_; }
  /// How many of the numbers below `sent` have not arrived.
  std::uint64_t lost(std::uint64_t sent) const noexcept { return sent > received_ ? sent - received_ : 0; }

 private:
  static constexpr std::uint64_t words = window / 64;

  std::uint64_t& word(std::uint64_t number) noexcept { return seen_[number / 64 % words]; }
  static std::uint64_t bit(std::uint64_t number) noexcept { return std::uint64_t{1} << (number & 63); }
  void record_any(std::uint64_t number) noexcept;
  void record_old(std::uint64_t number) noexcept;

  std::uint64_t next_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t reordered_ = 0;
  std::uint64_t late_ = 0;
  std::array<std::uint64_t, words> seen_{};
};

}  // namespace vhostx::tools::bench
