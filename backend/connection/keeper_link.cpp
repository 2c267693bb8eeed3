// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/keeper_link.hpp"

#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <utility>

#include "base/error.hpp"

namespace vhostx::backend {

using continuity::PortKeeper;

Result<void> KeeperLink::claim(KeeperClaim how) {
  auto keeper = link_.connect();
  if (!keeper) return std::move(keeper).error();
  keeper_ = std::move(keeper).value();
  auto files = keeper_->claim();
  if (files) return adopt(owned(std::move(files).value()), false);
  if (files.error().code != ErrorCode::busy || how == KeeperClaim::if_free) return files.error();
  link_.log.info("waits for another process: {}", files.error().message);
  asks_ = how == KeeperClaim::take_over;
  auto waits = keeper_->wait(asks_);
  if (waits && keeper_->has_events()) link_.on_events();
  return waits;
}

std::optional<KeeperLink::Event> KeeperLink::next_event() noexcept {
  try {
    while (keeper_ != nullptr) {
      auto event = keeper_->next_event();
      if (!event) break;
      if (auto ours = event_of(*event)) return ours;
    }
  } catch (const std::exception& error) {
    fail(error.what());
  }
  if (std::exchange(told_lost_, true)) return {};
  return Event(Lost{});
}

std::optional<KeeperLink::Event> KeeperLink::event_of(PortKeeper::Event& event) {
  if (auto* const granted = std::get_if<PortKeeper::Granted>(&event)) {
    if (owns()) return {};
    auto adopted = granted->as_prepared ? adopt_prepared() : try_adopt(owned(std::move(granted->files)), false);
    if (adopted) return Event(Acquired{});
    fail(adopted.error().message);
  } else if (const auto* const yield = std::get_if<PortKeeper::YieldAsked>(&event)) {
    if (owns()) return Event(YieldAsked{yield->asker_pid});
  } else if (const auto* const settled = std::get_if<PortKeeper::Settled>(&event)) {
    if (!owns()) return Event(Settled{settled->owner_pid});
  } else if (std::holds_alternative<PortKeeper::Changed>(event)) {
    if (!owns()) return Event(Changed{});
  } else {
    fail(std::get<PortKeeper::Gone>(event).error.message);
  }
  return {};
}

Result<void> KeeperLink::adopt(Files files, bool as_prepared) {
  give_up();
  held_ = std::move(files);
  return acquire(as_prepared);
}

// The keeper says that it is the same, so no descriptor has to come again.
Result<void> KeeperLink::adopt_prepared() noexcept {
  if (!files_ahead_) return protocol_violation("the keeper grants what was prepared, and nothing was");
  return try_adopt(*std::exchange(files_ahead_, std::nullopt), true);
}

// Without memory the bundle is not this process's, and it waits on.
Result<void> KeeperLink::try_adopt(Files files, bool as_prepared) noexcept {
  try {
    return adopt(std::move(files), as_prepared);
  } catch (const std::exception& error) {
    give_up();
    return make_error(ErrorCode::out_of_memory, "{}", error.what());
  }
}

bool KeeperLink::reconnect() noexcept {
  lost_.reset();
  if (keeper_ != nullptr) return true;
  try {
    auto keeper = link_.connect();
    if (!keeper) return false;
    auto done = owns() ? refill(**keeper) : (*keeper)->wait(asks_);
    if (done && settles_) done = (*keeper)->settle();
    if (!done) return false;
    keeper_ = std::move(keeper).value();
    if (owns())
      link_.log.info("{} is held by a keeper again", link_.held);
    else
      link_.log.info("waits for {} at a keeper again", link_.what);
    link_.on_events();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

Result<void> KeeperLink::fill(PortKeeper& keeper) {
  auto left = keeper.claim();
  if (!left) return left.error();
  const Files closed_elsewhere = owned(std::move(left).value());  // it may be the last of what a front-end has sent
  for (const auto& [slot, fd] : closed_elsewhere)
    if (!held_.contains(slot))
      if (auto dropped = keeper.drop(slot); !dropped) return dropped;
  for (const auto& [slot, fd] : held_)
    if (auto held = keeper.hold(slot, fd.get()); !held) return held;
  return {};
}

const KeeperLink::Files* KeeperLink::prepare() noexcept {
  left_.clear();
  if (owns()) return nullptr;
  bool are_new = false;
  ask([&](PortKeeper& keeper) -> Result<void> {
    auto files = keeper.prepare();
    if (!files) return std::move(files).error();
    if (!*files) return {};  // they are granted already: as those before were, or whole
    files_ahead_ = owned(**std::move(files));
    are_new = true;
    return {};
  });
  return are_new && files_ahead_ ? &*files_ahead_ : nullptr;
}

void KeeperLink::give_up() noexcept {
  settles_ = false;
  files_ahead_.reset();
  left_ = std::exchange(held_, {});
  disown();
}

// What is held is another process's from then on: where the keeper fails, nothing is written to it.
void KeeperLink::park(std::chrono::milliseconds grace) noexcept {
  give_up();
  ask([&](PortKeeper& keeper) { return keeper.park(grace); });
  keeper_ = nullptr;
}

void KeeperLink::yield(std::chrono::milliseconds grace) noexcept {
  asks_ = false;
  give_up();
  ask([&](PortKeeper& keeper) { return keeper.park(grace); });
  ask([](PortKeeper& keeper) { return keeper.wait(false); });
}

// Also at a keeper that comes later.
void KeeperLink::ask_owner() noexcept {
  if (owns()) return;
  asks_ = true;
  ask([](PortKeeper& keeper) { return keeper.ask_owner(); });
}

// A keeper that comes later is told, too.
void KeeperLink::settle() noexcept {
  settles_ = owns();
  if (owns()) ask([](PortKeeper& keeper) { return keeper.settle(); });
}

// At once: the process that has the bundle may be looking for this keeper.
void KeeperLink::let_go(std::chrono::milliseconds grace) noexcept {
  give_up();
  ask([&](PortKeeper& keeper) { return keeper.park(grace); });
  attempt([&] { link_.log.info("another process may serve {}, and this one waits for it", link_.what); });
  lose();
}

// To the keeper we may be gone now, while we go on.
void KeeperLink::fail(const std::string& why) noexcept {
  mistrust();
  if (keeper_ == nullptr) return;
  try {
    link_.log.warning("the keeper failed, and {} goes on without it: {}", link_.what, why);
  } catch (const std::exception&) {  // only the line is lost
  }
  lose();
}

void KeeperLink::lose() noexcept {
  if (keeper_ == nullptr) return;  // a lost one may be watched still
  lost_ = std::move(keeper_);
  files_ahead_.reset();
  told_lost_ = false;
  try {
    link_.on_events();
  } catch (const std::exception&) {  // the next event is looked for later
  }
}

UniqueFd KeeperLink::own(int fd) const {
  return link_.releases == nullptr ? UniqueFd(fd) : UniqueFd(fd, link_.releases->ticket());
}

KeeperLink::Files KeeperLink::owned(Files files) const {
  for (auto& [slot, fd] : files) fd = own(fd.release());
  return files;
}

UniqueFd KeeperLink::duplicate(int fd) const { return own(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// A copy of ours stays here, for a keeper that takes the place of this one.
void KeeperLink::keep(Slot slot, int fd) {
  UniqueFd ours = duplicate(fd);
  if (!ours) return fail(make_system_error(errno, "duplicating the descriptor {}", fd).message);
  const int number = (held_[slot] = std::move(ours)).get();
  ask([&](PortKeeper& keeper) { return keeper.hold(slot, number); });
}

int KeeperLink::file(Slot slot) const noexcept {
  const auto found = held_.find(slot);
  return found == held_.end() ? -1 : found->second.get();
}

void KeeperLink::hold_file(Slot slot, int fd) noexcept {
  attempt([&] { keep(slot, fd); });
}

}  // namespace vhostx::backend
