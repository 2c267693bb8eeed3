// SPDX-License-Identifier: BSD-3-Clause
// ReturnQueue: returns loans from any thread, in any order, without a lock, and determines who is last.
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <limits>

namespace vhostx::zerocopy {

/// A stack of loan numbers in one atomic word, and the number of loans that are still out once its owner has left.
///
/// Three phases, only ever in this order:
///   open       Loans that come back are kept for the owner, who takes them all at once.
///   closed     The owner's ring is gone. Loans are only counted; the owner checks from time to time whether all are
///   back. abandoned  The owner is gone as well: whoever returns the last loan cleans up.
///
/// The links of the stack are in the loans and passed in, so that this class is one word.
class ReturnQueue {
 public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint32_t count_max = (1U << 30) - 1;

  enum class Pushed {
    kept,
    last,  ///< Abandoned, and this was the last one: the caller destroys the table.
  };

  /// Any thread, once for each loan that is out. `link` is in the loan; no other thread uses it now. Unless the result
  /// is `last`, the table may be gone when this returns. The release pairs with the acquire in take_all(), close() and
  /// abandon(): what was done with the loan comes before its return. The acquire is for the last one, who destroys what
  /// all others have used. Each change is a read-modify-write, so that it continues the release sequence
  /// (return_queue_order.pml).
  Pushed push(std::uint32_t loan, std::uint32_t& link) noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      std::uint64_t next = seen - one_loan;
      if (phase_of(seen) == open) {
        link = top_of(seen);
        next = pack(open, count_of(seen) + 1, loan);
      }
      if (!word_.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed)) continue;
      return phase_of(next) == abandoned && count_of(next) == 0 ? Pushed::last : Pushed::kept;
    }
  }

  /// Owner, while open: whether there is something to take. The cheapest check; take_all() acquires.
  bool has_some() const noexcept { return word_.load(std::memory_order_relaxed) != empty; }

  /// Owner, while open: takes everything that has come back, as a list. Returns its first loan, or `none`.
  std::uint32_t take_all() noexcept {
    const std::uint64_t seen = word_.exchange(empty, std::memory_order_acq_rel);
    assert(phase_of(seen) == open);
    return top_of(seen);
  }

  /// Owner, while open and after take_all(): `out` loans have not been taken. Returns how many are out from now on:
  /// some may have come back since.
  std::uint32_t close(std::uint32_t out) noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do next = pack(closed, out - count_of(seen), none);
    while (!word_.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed));
    return count_of(next);
  }

  /// Any thread, once closed: how many are out. 0: no thread will touch the table any more.
  std::uint32_t out() const noexcept { return count_of(word_.load(std::memory_order_acquire)); }

  /// Owner, once closed. True: all were back, and the caller is the last one.
  bool abandon() noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(seen, pack(abandoned, count_of(seen), none), std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
    }
    return count_of(seen) == 0;
  }

 private:
  enum Phase : std::uint64_t { open, closed, abandoned };

  // Bits 0 to 31: the loan on top; 32 to 61: a count; 62 and 63: the phase.
  static constexpr std::uint64_t one_loan = std::uint64_t{1} << 32;
  static constexpr std::uint64_t pack(Phase phase, std::uint32_t count, std::uint32_t top) noexcept {
    return std::uint64_t{phase} << 62 | std::uint64_t{count} << 32 | top;
  }
  static constexpr std::uint32_t top_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
  static constexpr std::uint32_t count_of(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word >> 32) & count_max;
  }
  static constexpr Phase phase_of(std::uint64_t word) noexcept { return static_cast<Phase>(word >> 62); }

  static constexpr std::uint64_t empty = std::uint64_t{none};  // open, 0 loans
  std::atomic<std::uint64_t> word_{empty};
};

}  // namespace vhostx::zerocopy
