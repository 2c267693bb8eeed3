// SPDX-License-Identifier: BSD-3-Clause
// PortCore: while this process waits for another one that serves the port, it sets up what it would go on with. If it
// is that in the end, a guest waits for the rings to start and for nothing else.
#include <algorithm>
#include <exception>
#include <numeric>
#include <utility>

#include "backend/port_core.hpp"
#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using Clock = std::chrono::steady_clock;

// After a change, as several come together, and at most where they go on coming.
constexpr std::chrono::milliseconds after_change{100}, after_changes_most{5'000};
// Between looks for changes that no keeper tells of.
constexpr std::chrono::milliseconds look_pause{1'000};
// Messages of one connection. A front-end may have more of them set up, and then its guest waits until all are.
constexpr std::uint32_t messages_most = 4096;

std::uint32_t messages_of(const continuity::SessionState& state) {
  const auto steps = state.steps();
  return std::accumulate(steps.begin(), steps.end(), 0U,
                         [](std::uint32_t sum, const auto& step) { return sum + std::min(step.times, messages_most); });
}

}  // namespace

// It is used only if nothing changes until then.
void PortCore::prepare() noexcept {
  left_ = {};
  if (parts_.is_crowded()) return;
  stale_ = keeping_->event_fd() < 0;
  prepared_at_ = Clock::now();
  try {
    prepare_counters();
    prepared_ = try_to_prepare();
    parts_.log.debug("{} to take the port over", prepared_ ? "prepared" : "not prepared");
  } catch (const std::exception& error) {  // then it takes longer
    prepared_.reset();
    parts_.log.debug("not prepared to take the port over: {}", error.what());
  }
}

std::optional<PortCore::Prepared> PortCore::try_to_prepare() {
  struct Aside {
    ~Aside() { events = nullptr; }
    std::vector<Queued>*& events;
  };
  auto ahead = keeping_->look_ahead();
  seen_ahead_.reset();
  if (!ahead) return {};
  seen_ahead_ = std::make_unique<const continuity::SessionState>(ahead->state);  // not to be tried again
  if (messages_of(ahead->state) > messages_most) return {};
  Prepared prepared{std::make_unique<Session>(*this, parts_, keeping_.get()), std::move(ahead->state), {}};
  const Aside until_then{aside_ = &prepared.events};
  const auto good = prepared.session->set_up(prepared.state, ahead->files);
  if (good) return prepared;
  parts_.log.debug("not prepared to take the port over: {}", good.error().message);
  return {};
}

void PortCore::look_ahead_later() noexcept {
  ahead_timer_.start(look_pause, [this] { look_ahead(); });
}

void PortCore::look_ahead() noexcept {
  get_ready();
  look_ahead_later();
}

void PortCore::get_ready() noexcept {
  if (!is_waiting_ || keeping_ == nullptr || closed_) return;
  if (stale_ || keeping_->is_past(seen_ahead_.get())) prepare();
}

// A front-end that makes changes without end costs a process that waits little.
void PortCore::ahead_has_changed() noexcept {
  if (std::exchange(stale_, true)) return;
  const bool again = Clock::now() < prepared_at_ + 2 * change_pause_;
  change_pause_ = again ? std::min(2 * change_pause_, after_changes_most) : after_change;
  ahead_timer_.start(change_pause_, [this] { look_ahead(); });
}

// What the next process has is not known yet.
void PortCore::wait() noexcept {
  is_waiting_ = true;
  stale_ = false;
  ahead_has_changed();
}

}  // namespace vhostx::backend
