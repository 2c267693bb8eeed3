// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/session_keeping.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <utility>

#include <sys/socket.h>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using continuity::PortKeeper;
using continuity::SessionRecord;
using continuity::SessionState;
using Slot = continuity::Slot;

// What is the port's, and not of a connection.
constexpr Slot socket_slot = 0;  // whose end a keeper notices
constexpr Slot record_slot = 1;
constexpr Slot listener_slot = 2;
constexpr Slot listener_file_slot = 3;
constexpr Slot counters_slot = 5;
// What messages bring.
constexpr Slot first_slot = 16;

bool is_of_connection(Slot slot) noexcept {
  return slot == socket_slot || slot == SessionKeeping::own_inflight_slot || slot == SessionKeeping::state_slot ||
         slot >= first_slot;
}

UniqueFd duplicate(int fd, Releases& releases) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0), releases.ticket()); }

UniqueFd take(PortKeeper::Files& files, Slot slot) {
  const auto found = files.find(slot);
  if (found == files.end()) return {};
  UniqueFd fd = std::move(found->second);
  files.erase(found);
  return fd;
}

}  // namespace

// The action may ask, too, and the keeper fail then.
template <typename Action>
void SessionKeeping::ask(Action action) noexcept {
  if (keeper_ == nullptr) return;
  try {
    if (auto done = action(*keeper_); !done) return fail(done.error().message);
    if (keeper_ != nullptr && keeper_->has_events()) parts_.on_events();
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

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

// What was left is this process's now.
Result<void> SessionKeeping::acquire(PortKeeper::Files files) {
  clear();
  for (auto& [slot, fd] : files) held_[slot] = UniqueFd(fd.release(), parts_.releases->ticket());
  UniqueFd file = take(held_, record_slot);
  auto left = file ? SessionRecord::adopt(std::move(file), parts_.limits) : Result<SessionRecord>(Error{});
  const bool fits = static_cast<bool>(left);
  if (!fits && !left.error().message.empty())
    parts_.log.warning("the connection that another process left is closed: {}", left.error().message);
  auto record = fits ? std::move(left) : SessionRecord::create(parts_.limits);
  if (!record) return record.error();
  record_.emplace(std::move(record).value());
  counters_ = take(held_, counters_slot);
  UniqueFd listener = take(held_, listener_slot);
  UniqueFd listener_file = take(held_, listener_file_slot);
  if (listener && listener_file) found_listener_.emplace(FoundListener{std::move(listener), std::move(listener_file)});
  fits ? find() : close_left();
  ask([&](PortKeeper& keeper) { return keeper.hold(record_slot, record_->fd()); });
  return {};
}

void SessionKeeping::find() {
  const auto socket = held_.find(socket_slot);
  if (socket == held_.end()) return end();
  auto state = record_->read();
  if (!state) {
    parts_.log.warning("the connection that another process left is closed: {}", state.error().message);
    return close_left();
  }
  next_slot_ = std::max(first_slot, held_.rbegin()->first + 1);
  found_.emplace(Found{duplicate(socket->second.get(), *parts_.releases), std::move(state).value()});
}

// Others may hold the socket, too.
void SessionKeeping::close_left() {
  if (const auto socket = held_.find(socket_slot); socket != held_.end()) ::shutdown(socket->second.get(), SHUT_RDWR);
  end();
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
    auto acquired = acquire(std::move(granted->files));
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
  const auto left = keeper.claim();
  if (!left) return left.error();
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
  return {};
}

void SessionKeeping::hold_counters(int fd) noexcept {
  ask([&](PortKeeper&) {
    keep(counters_slot, fd);
    return Result<void>{};
  });
}

int SessionKeeping::state_file() const noexcept {
  const auto found = held_.find(state_slot);
  return found == held_.end() ? -1 : found->second.get();
}

void SessionKeeping::hold_state(int fd) noexcept {
  ask([&](PortKeeper&) {
    keep(state_slot, fd);
    return Result<void>{};
  });
}

void SessionKeeping::listens(int socket, int file) {
  keep(listener_slot, socket);
  keep(listener_file_slot, file);
}

void SessionKeeping::begin(int socket) {
  end();
  keep(socket_slot, socket);
}

void SessionKeeping::go_on(const SessionState& state) {
  state_ = state;
  state_.rings.resize(parts_.limits.rings);
  drop_unused();
}

// Also where memory is out: nothing is allocated.
void SessionKeeping::forget_state() noexcept {
  std::vector<continuity::RingState> rings = std::move(state_.rings);
  std::fill(rings.begin(), rings.end(), continuity::RingState{});
  state_ = {};
  state_.rings = std::move(rings);
  own_inflight_ = nullptr;
}

void SessionKeeping::end() noexcept {
  forget_state();
  ask([&](PortKeeper&) { return record_->write(state_); });
  set_busy(false);
  set_answer_busy(false);
  if (owns()) record_->set_answers_due(0);
  std::erase_if(held_, [&](const auto& held) {
    if (!is_of_connection(held.first)) return false;
    ask([&](PortKeeper& keeper) { return keeper.drop(held.first); });
    return true;
  });
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

void SessionKeeping::settle() noexcept {
  if (owns()) ask([](PortKeeper& keeper) { return keeper.settle(); });
}

// At once: the process that serves the port may be looking for this keeper.
void SessionKeeping::let_go(std::chrono::milliseconds grace) noexcept {
  record_.reset();
  clear();
  ask([&](PortKeeper& keeper) { return keeper.park(grace); });
  fail("the port is served by somebody else");
}

void SessionKeeping::set_busy(bool busy) noexcept {
  busy_ = busy;
  if (keeper_ == nullptr || !owns()) return;
  busy ? record_->begin_message() : record_->end_message();
}

// Also while there is no keeper: the record that the next one gets goes on with it.
void SessionKeeping::set_answer_busy(bool busy) noexcept {
  answer_busy_ = busy;
  if (owns()) busy ? record_->begin_answer() : record_->end_answer();
}

void SessionKeeping::request_sent() noexcept {
  if (owns()) record_->set_answers_due(answers_due() + 1);
}

void SessionKeeping::request_answered() noexcept {
  if (owns()) record_->set_answers_due(std::max(answers_due(), 1U) - 1);
}

void SessionKeeping::requests_ended() noexcept {
  set_answer_busy(false);
  state_.back_end_socket = 0;
  ask([&](PortKeeper&) { return record_->write(state_); });
  ask([&](PortKeeper&) {
    drop_unused();
    return Result<void>{};
  });
}

// A copy of ours stays here, for a keeper that takes the place of this one.
void SessionKeeping::keep(Slot slot, int fd) {
  UniqueFd ours = duplicate(fd, *parts_.releases);
  if (!ours) return fail(make_system_error(errno, "duplicating the descriptor {}", fd).message);
  const int number = (held_[slot] = std::move(ours)).get();
  ask([&](PortKeeper& keeper) { return keeper.hold(slot, number); });
}

std::vector<Slot> SessionKeeping::hold(const protocol::Message& message) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < message.fd_count(); ++i) {
    slots.push_back(free_slot());
    keep(slots.back(), message.fd(i));
  }
  return slots;
}

// A front-end may bring more descriptors than there are numbers.
Slot SessionKeeping::free_slot() noexcept {
  while (next_slot_ < first_slot || held_.contains(next_slot_)) next_slot_ = std::max(next_slot_ + 1, first_slot);
  return next_slot_++;
}

void SessionKeeping::accepted(const protocol::Message& message, std::span<const Slot> slots, std::uint32_t answer,
                              bool has_log) {
  const SessionState before = state_;
  state_.apply(message, slots, answer);
  if (!has_log) state_.forget_log();
  if (owns() && message.front_end_request() == protocol::FrontEndRequest::set_backend_req_fd)
    record_->set_answers_due(0);
  if (state_ == before && slots.empty()) return;
  ask([&](PortKeeper&) { return record_->write(state_); });
  drop_unused();
}

void SessionKeeping::refused(std::span<const Slot> slots) {
  if (!slots.empty()) drop_unused();
}

void SessionKeeping::drop_unused() {
  std::vector<Slot> used = state_.slots();
  used.push_back(socket_slot);
  if (parts_.keeps_state) used.push_back(state_slot);
  std::sort(used.begin(), used.end());
  std::erase_if(held_, [&](const auto& held) {
    if (!is_of_connection(held.first) || std::binary_search(used.begin(), used.end(), held.first)) return false;
    ask([&](PortKeeper& keeper) { return keeper.drop(held.first); });
    return true;
  });
}

void SessionKeeping::clear() noexcept {
  held_.clear();
  found_.reset();
  found_listener_.reset();
  next_slot_ = first_slot;
  busy_ = answer_busy_ = asks_ = false;
  counters_.reset();
  forget_state();
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
