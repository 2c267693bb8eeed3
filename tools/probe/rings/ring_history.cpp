// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_history.hpp"

#include <algorithm>
#include <utility>

namespace vhostx::tools::probe {

using namespace std::chrono_literals;

namespace {

constexpr int steps_per_second_max = 10'000'000;

double seconds_of(ProbeTime time) noexcept { return std::chrono::duration<double>(time).count(); }

}  // namespace

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
  packed_ = sample.packed();
  chains_per_step_ = sample.chains_per_step;
  in_flight_ = sample.in_flight;
  const bool driver_moved = available_.look(sample.available_position, sample.modulus);
  const bool device_moved = used_.look(sample.used_position, sample.modulus);
  if (!mark_) mark_ = mark_at(now);
  const bool begins = sample.in_flight_min != 0 || (sample.in_flight != 0 && driver_moved && !device_moved);
  if (sample.in_flight == 0 || device_moved) waiting_since_.reset();
  if (begins && !waiting_since_) waiting_since_ = now;
}

RingRates RingHistory::take_rates(ProbeTime now) noexcept {
  RingRates rates;
  const std::optional<Mark> before = mark_;
  if (!before || now <= before->time) return rates;
  mark_ = mark_at(now);
  const double seconds = std::chrono::duration<double>(now - before->time).count();
  const auto rate = [seconds](std::uint64_t was, std::uint64_t is) {
    return is >= was ? static_cast<double>(is - was) / seconds : 0.0;
  };
  if (before->counts && counts_) {
    rates.kicks = rate(before->counts->kicks, counts_->kicks);
    rates.calls = rate(before->counts->calls, counts_->calls);
  }
  packed_ ? take_packed(*before, seconds, rates) : take_positions(*before, seconds, rates);
  longest_gap_ = ProbeTime::zero();
  close_ = {};
  return rates;
}

/// A packed ring's laps are counted as long as one takes it four looks, by what the close ones say.
bool RingHistory::count_was_too_slow() const noexcept {
  const auto steps = static_cast<double>(std::max(close_.available, close_.used));
  return close_.time > ProbeTime::zero() && steps * seconds_of(longest_gap_) > modulus_ / 4.0 * seconds_of(close_.time);
}

void RingHistory::take_packed(const Mark& before, double seconds, RingRates& rates) const noexcept {
  if (before.packets && packets_ && *packets_ >= *before.packets) {
    const auto packets = static_cast<double>(*packets_ - *before.packets);
    rates.by = RatesBy::packets;
    rates.used = packets / seconds;
    rates.available = std::max(packets + in_flight_ - before.in_flight, 0.0) / seconds;
  } else if (count_was_too_slow()) {
    const double time = seconds_of(close_.time);
    rates.by = RatesBy::moments;
    rates.available = static_cast<double>(close_.available) * chains_per_step_ / time;
    rates.used = static_cast<double>(close_.used) * chains_per_step_ / time;
    rates.most = modulus_ / 2 * chains_per_step_ / seconds_of(close_.longest_gap);
  } else {
    take_positions(before, seconds, rates);
  }
}

void RingHistory::take_positions(const Mark& before, double seconds, RingRates& rates) const noexcept {
  rates.available = static_cast<double>(mark_->available - before.available) * chains_per_step_ / seconds;
  rates.used = static_cast<double>(mark_->used - before.used) * chains_per_step_ / seconds;
  if (longest_gap_ > ProbeTime::zero()) rates.most = modulus_ / 2 * chains_per_step_ / seconds_of(longest_gap_);
}

std::optional<RingHistory::Close> RingHistory::Close::at(ProbeTime now, const RingSample& sample) noexcept {
  if (!sample.ok()) return std::nullopt;
  return Close{now, sample.available_position, sample.used_position};
}

/// Of two looks between which somebody else had the CPU nothing is known, nor of a position that went back.
void RingHistory::look_closely(ProbeTime now, const RingSample& sample) noexcept {
  const auto before = std::exchange(close_last_, Close::at(now, sample));
  const auto gap_max = std::max<ProbeTime>(sample.modulus / 2 * ProbeTime(1s) / steps_per_second_max, 5us);
  if (!before || !close_last_ || now <= before->time || now - before->time > gap_max) return;
  const auto step = [&](std::uint32_t from, std::uint32_t to) { return (to + sample.modulus - from) % sample.modulus; };
  const std::uint32_t available = step(before->available, close_last_->available);
  const std::uint32_t used = step(before->used, close_last_->used);
  if (std::max(available, used) >= sample.modulus / 2 && sample.modulus > 2) return;
  close_.available += available;
  close_.used += used;
  close_.time += now - before->time;
  close_.longest_gap = std::max(close_.longest_gap, now - before->time);
}

}  // namespace vhostx::tools::probe
