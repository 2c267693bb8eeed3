// SPDX-License-Identifier: BSD-3-Clause
// SessionKeeping: its keeper, and the processes that come before and after this one.
#include <exception>
#include <utility>

#include "backend/connection/session_keeping.hpp"
#include "base/error.hpp"

namespace vhostx::backend {

using continuity::PortKeeper;
using continuity::SessionRecord;

Result<std::unique_ptr<SessionKeeping>> SessionKeeping::open(Parts parts, KeeperClaim how) {
  std::unique_ptr<SessionKeeping> keeping(new SessionKeeping(std::move(parts)));
  if (auto claimed = keeping->claim(how); !claimed) return std::move(claimed).error();
  return keeping;
}

Result<void> SessionKeeping::claim(KeeperClaim how) {
  auto keeper = parts_.connect();
  if (!keeper) return std::move(keeper).error();
  keeper_ = std::move(keeper).value();
  auto files = keeper_->claim();
  if (files) return acquire(std::move(files).value());
  if (files.error().code != ErrorCode::busy || how == KeeperClaim::if_free) return files.error();
  parts_.log.info("waits for another process: {}", files.error().message);
  asks_ = how == KeeperClaim::take_over;
  auto waits = keeper_->wait(asks_);
  if (waits && keeper_->has_events()) parts_.on_events();
  return waits;
}

std::optional<SessionKeeping::Event> SessionKeeping::next_event() noexcept {
  try {
    while (keeper_ != nullptr) {
      auto event = keeper_->next_event();
      if (!event) break;
      if (auto ours = event_of(std::move(*event))) return ours;
    }
  } catch (const std::exception& error) {
    fail(error.what());
  }
  if (std::exchange(told_lost_, true)) return {};
  return Event(Lost{});
}

std::optional<SessionKeeping::Event> SessionKeeping::event_of(PortKeeper::Event event) {
  if (auto* const granted = std::get_if<PortKeeper::Granted>(&event)) {
    if (owns()) return {};
    auto acquired = try_acquire(std::move(granted->files));
    if (acquired) return Event(Acquired{});
    fail(acquired.error().message);
  } else if (const auto* const yield = std::get_if<PortKeeper::YieldAsked>(&event)) {
    if (owns()) return Event(YieldAsked{yield->asker_pid});
  } else if (const auto* const settled = std::get_if<PortKeeper::Settled>(&event)) {
    if (!owns()) return Event(Settled{settled->owner_pid});
  } else {
    fail(std::get<PortKeeper::Gone>(event).error.message);
  }
  return {};
}

// Without memory the port is not this process's, and waits on.
Result<void> SessionKeeping::try_acquire(PortKeeper::Files files) noexcept {
  try {
    return acquire(std::move(files));
  } catch (const std::exception& error) {
    record_.reset();
    clear();
    return make_error(ErrorCode::out_of_memory, "{}", error.what());
  }
}

bool SessionKeeping::reconnect() noexcept {
  lost_.reset();
  if (keeper_ != nullptr) return true;
  try {
    auto keeper = parts_.connect();
    if (!keeper) return false;
    const auto done = owns() ? refill(**keeper) : (*keeper)->wait(asks_);
    if (!done) return false;
    keeper_ = std::move(keeper).value();
    parts_.log.info("{} a keeper again", owns() ? "the connection is held by" : "waits for the port at");
    parts_.on_events();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

// The record comes last: without it nobody goes on with the rest. A new one, as the one before says for good that a
// message is in work.
Result<void> SessionKeeping::refill(PortKeeper& keeper) {
  auto left = keeper.claim();
  if (!left) return left.error();
  // This may be the last of a descriptor that a front-end has sent.
  for (auto& [slot, fd] : *left) fd = UniqueFd(fd.release(), parts_.releases->ticket());
  auto record = SessionRecord::create(parts_.limits);
  if (!record) return record.error();
  if (auto written = record->write(state_); !written) return written;
  if (busy_) record->begin_message();
  if (answer_busy_) record->begin_answer();
  record->set_answers_due(answers_due());
  for (const auto& [slot, fd] : *left)
    if (slot != record_slot && !held_.contains(slot))
      if (auto dropped = keeper.drop(slot); !dropped) return dropped;
  for (const auto& [slot, fd] : held_)
    if (auto held = keeper.hold(slot, fd.get()); !held) return held;
  if (auto held = keeper.hold(record_slot, record->fd()); !held) return held;
  record_.emplace(std::move(record).value());
  return settles_ ? keeper.settle() : Result<void>{};
}

// The record is another process's from then on: where the keeper fails, nothing is written to it.
void SessionKeeping::park(std::chrono::milliseconds grace) noexcept {
  record_.reset();
  ask([&](PortKeeper& keeper) { return keeper.park(grace); });
  keeper_ = nullptr;
}

void SessionKeeping::yield(std::chrono::milliseconds grace) noexcept {
  record_.reset();
  clear();
  ask([&](PortKeeper& keeper) { return keeper.park(grace); });
  ask([](PortKeeper& keeper) { return keeper.wait(false); });
}

// Also at a keeper that comes later.
void SessionKeeping::ask_owner() noexcept {
  if (owns()) return;
  asks_ = true;
  ask([](PortKeeper& keeper) { return keeper.ask_owner(); });
}

// A keeper that comes later is told, too.
void SessionKeeping::settle() noexcept {
  settles_ = owns();
  if (owns()) ask([](PortKeeper& keeper) { return keeper.settle(); });
}

// At once: the process that serves the port may be looking for this keeper.
void SessionKeeping::let_go(std::chrono::milliseconds grace) noexcept {
  record_.reset();
  clear();
  ask([&](PortKeeper& keeper) { return keeper.park(grace); });
  fail("the port is served by somebody else");
}

// To the keeper we may be gone now, while we go on. Whoever claims the bundle must not: the record says for good that a
// message is in work.
void SessionKeeping::fail(const std::string& why) noexcept {
  if (owns()) record_->begin_message();
  if (keeper_ == nullptr) return;
  lost_ = std::move(keeper_);
  told_lost_ = false;
  try {
    parts_.log.warning("the keeper failed, and the port goes on without it: {}", why);
    parts_.on_events();
  } catch (const std::exception&) {  // only the line is lost
  }
}

}  // namespace vhostx::backend
