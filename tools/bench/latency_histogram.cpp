// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/latency_histogram.hpp"

#include <algorithm>
#include <cmath>

namespace vhostx::tools::bench {

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  for (std::size_t index = 0; index < buckets_.size(); ++index) buckets_[index] += other.buckets_[index];
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
  min_ns_ = std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

std::uint64_t LatencyHistogram::percentile(double percent) const noexcept {
  if (count_ == 0) return 0;
  // 99.9 % of 1000 is 999, not the 1000 that rounding makes of 999.0000000000001.
  const double rank = std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count_) * (1 - 1e-12);
  const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(rank)));
  if (wanted >= count_) return max_ns_;
  std::uint64_t seen = 0;
  for (std::size_t index = 0; index < buckets_.size(); ++index) {
    seen += buckets_[index];
    // The bucket's middle; no time is outside of [min, max].
    if (seen >= wanted) return std::clamp(low_of(index) + (high_of(index) - low_of(index)) / 2, min_ns_, max_ns_);
  }
  return max_ns_;
}

}  // namespace vhostx::tools::bench
