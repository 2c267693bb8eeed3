// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_history.hpp"

#include <algorithm>

namespace vhostx::tools::probe {

bool Counter::look(std::uint32_t position, std::uint32_t modulus) noexcept {
  if (!last_) {
    last_ = position;
    return true;
  }
  const std::uint32_t step = (position + modulus - *last_) % modulus;
  if (step == 0) {
    behind_ = false;
    return false;
  }
  if (step >= modulus / 2 && modulus > 2 && !behind_) {
    behind_ = true;
    return true;
  }
  if (!behind_ || step < modulus / 2) total_ += step;
  behind_ = false;
  last_ = position;
  return true;
}

void RingHistory::look(ProbeTime now, const RingSample& sample) noexcept {
  if (!sample.ok()) {
    waiting_since_.reset();
    return;
  }
  if (last_look_) longest_gap_ = std::max(longest_gap_, now - *last_look_);
  last_look_ = now;
  modulus_ = sample.modulus;
  exact_ = sample.exact;
  const bool driver_moved = available_.look(sample.available_position, sample.modulus);
  const bool device_moved = used_.look(sample.used_position, sample.modulus);
  if (!mark_) mark_ = Mark{now, available_.total(), used_.total(), counts_};
  const bool begins = sample.in_flight != 0 && (sample.exact || (driver_moved && !device_moved));
  if (sample.in_flight == 0 || device_moved) waiting_since_.reset();
  if (begins && !waiting_since_) waiting_since_ = now;
}

RingRates RingHistory::take_rates(ProbeTime now) noexcept {
  RingRates rates;
  const std::optional<Mark> before = mark_;
  if (!before || now <= before->time) return rates;
  mark_ = Mark{now, available_.total(), used_.total(), counts_};
  const double seconds = std::chrono::duration<double>(now - before->time).count();
  const auto rate = [seconds](std::uint64_t was, std::uint64_t is) {
    return is >= was ? static_cast<double>(is - was) / seconds : 0.0;
  };
  if (before->counts && counts_) {
    rates.kicks = rate(before->counts->kicks, counts_->kicks);
    rates.calls = rate(before->counts->calls, counts_->calls);
  }
  if (exact_) {
    rates.available = rate(before->available, mark_->available);
    rates.used = rate(before->used, mark_->used);
  }
  if (exact_ && longest_gap_ > ProbeTime::zero())
    rates.most = modulus_ / 2 / std::chrono::duration<double>(longest_gap_).count();
  longest_gap_ = ProbeTime::zero();
  return rates;
}

}  // namespace vhostx::tools::probe
