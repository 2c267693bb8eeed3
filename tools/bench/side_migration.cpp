// SPDX-License-Identifier: BSD-3-Clause
// Side: a round in which the guest moves.
#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "tools/bench/migration.hpp"
#include "tools/bench/side.hpp"

namespace vhostx::tools::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto turn = std::chrono::nanoseconds(1ms);

double length_of(Traffic::Clock::duration time) noexcept { return std::chrono::duration<double>(time).count(); }

Move measured(const MoveSteps& steps, const Traffic::Gap& gap) {
  Move move;
  move.pages_in_all = steps.pages_in_all;
  move.pages_at_stop = steps.pages_at_stop;
  move.dirty_pages_per_second = static_cast<double>(steps.pages_dirtied) / steps.logged_seconds;
  move.gap_seconds = length_of(gap.end - gap.begin);
  move.stop_seconds = length_of(steps.stopped - steps.left);
  move.copy_seconds = length_of(steps.copied - steps.stopped);
  move.start_seconds = length_of(steps.started - steps.copied);
  move.first_packet_seconds = std::max(length_of(gap.end - steps.started), 0.0);
  return move;
}

}  // namespace

Result<Move> Side::migrate(std::chrono::nanoseconds duration) {
  resume();
  const std::uint64_t lost_before = traffic_->counts().lost;
  const Round without_log = run_until_some(duration / 4);
  GuestOptions destination = guest_at(elsewhere_, options_);
  destination.migrates = true;
  auto begun = Migration::begin(*moving_, destination, mac_of(endpoints_.size() - 1));
  if (!begun) return begun.error();
  Migration& migration = **begun;
  while (!migration.ready()) traffic_->run(turn);
  const Round with_log = run_until_some(duration / 2);
  traffic_->begin_gaps();
  migration.finish();
  while (!migration.done()) traffic_->run(turn);
  const auto steps = migration.result();
  if (!steps) return steps.error();
  if (auto arrived = await_arrival_after(steps->started); !arrived) return arrived.error();
  Move move = measured(*steps, traffic_->longest_gap());
  traffic_->drain();
  if (auto healthy = health(); !healthy) return healthy.error();
  move.lost = traffic_->counts().lost - lost_before;
  move.without_log = without_log;
  move.with_log = with_log;
  std::swap(here_, elsewhere_);
  return move;
}

/// A back-end that is given no CPU meanwhile would have done nothing: longer, then.
Round Side::run_until_some(std::chrono::nanoseconds duration) {
  const auto end = Traffic::Clock::now() + options_.guest.timeout;
  Round all = traffic_->run(duration);
  while (all.packets == 0 && Traffic::Clock::now() < end) all += traffic_->run(duration);
  return all;
}

Result<void> Side::await_arrival_after(Traffic::Clock::time_point time) {
  const auto end = Traffic::Clock::now() + options_.guest.timeout;
  while (traffic_->last_arrival() <= time) {
    if (Traffic::Clock::now() > end)
      return make_error(ErrorCode::timed_out, "{}: nothing came to the guest in {} ms after it had moved there",
                        moving_->name(), options_.guest.timeout.count());
    traffic_->run(turn);
  }
  return {};
}

}  // namespace vhostx::tools::bench
