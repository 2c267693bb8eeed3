// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/sequence_tracker.hpp"

#include <algorithm>

namespace vhostx::tools::bench {

void SequenceTracker::record_any(std::uint64_t number) noexcept {
  if (number < next_) return record_old(number);
  // Clears the words between the last one in use and that of this number: they begin a new lap.
  const std::uint64_t first = (next_ + 63) / 64;
  const std::uint64_t last = number / 64;
  if (last >= first) {
    const std::uint64_t laps = std::min(last - first + 1, words);
    for (std::uint64_t i = 0; i < laps; ++i) seen_[(last - i) % words] = 0;
  }
  word(number) |= bit(number);
  next_ = number + 1;
  ++received_;
}

void SequenceTracker::record_old(std::uint64_t number) noexcept {
  // The current word has replaced the one a window before.
  const std::uint64_t newest_word = (next_ - 1) / 64;
  if (number / 64 + words <= newest_word) {
    ++late_;
  } else if ((word(number) & bit(number)) != 0) {
    ++duplicated_;
  } else {
    word(number) |= bit(number);
    ++received_;
    ++reordered_;
  }
}

}  // namespace vhostx::tools::bench
