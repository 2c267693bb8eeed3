// SPDX-License-Identifier: BSD-3-Clause
// LatencyHistogram: times in nanoseconds, counted in buckets.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace vhostx::tools::bench {

/// Log-linear: each power of two has 64 buckets of equal width, so that a bucket's middle is within 0.8 % of every
/// value in it. Below 128 ns values are exact. Memory is fixed (30 KiB); record() allocates nothing.
class LatencyHistogram {
 public:
  void record(std::uint64_t ns) noexcept {
    ++buckets_[index_of(ns)];
    ++count_;
    sum_ns_ += static_cast<double>(ns);
    if (ns < min_ns_) min_ns_ = ns;
    if (ns > max_ns_) max_ns_ = ns;
  }
  void merge(const LatencyHistogram& other) noexcept;

  std::uint64_t count() const noexcept { return count_; }
  /// The smallest time that `percent` (0 to 100) of the times do not exceed. 0 if nothing was recorded, as are min(),
  /// max() and mean().
  std::uint64_t percentile(double percent) const noexcept;
  std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_ns_; }
  std::uint64_t max() const noexcept { return max_ns_; }
  double mean() const noexcept { return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_); }

  /// f(low_ns, high_ns, count) for each bucket that is not empty, in rising order; both borders belong to it.
  template <class F>
  void for_each_bucket(F f) const {
    for (std::size_t index = 0; index < buckets_.size(); ++index)
      if (buckets_[index] != 0) f(low_of(index), high_of(index), buckets_[index]);
  }

 private:
  static constexpr unsigned part_bits = 6;  // 64 buckets a power of two
  static constexpr std::size_t parts = std::size_t{1} << part_bits;
  static constexpr std::size_t bucket_count = (64 - part_bits - 1) * parts + 2 * parts;

  static constexpr std::size_t index_of(std::uint64_t ns) noexcept {
    const unsigned width = static_cast<unsigned>(std::bit_width(ns));
    const unsigned shift = width > part_bits + 1 ? width - part_bits - 1 : 0;
    return shift * parts + static_cast<std::size_t>(ns >> shift);
  }
  static constexpr unsigned shift_of(std::size_t index) noexcept {
    return index < 2 * parts ? 0 : static_cast<unsigned>(index / parts) - 1;
  }
  static constexpr std::uint64_t low_of(std::size_t index) noexcept {
    const unsigned shift = shift_of(index);
    return static_cast<std::uint64_t>(index - shift * parts) << shift;
  }
  static constexpr std::uint64_t high_of(std::size_t index) noexcept {
    return low_of(index) + ((std::uint64_t{1} << shift_of(index)) - 1);
  }

  std::array<std::uint64_t, bucket_count> buckets_{};
  std::uint64_t count_ = 0;
  double sum_ns_ = 0;
  std::uint64_t min_ns_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ns_ = 0;
};

}  // namespace vhostx::tools::bench
