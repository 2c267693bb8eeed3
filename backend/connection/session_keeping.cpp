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
constexpr Slot listener_slot = 2;
constexpr Slot listener_file_slot = 3;
constexpr Slot counters_slot = 5;
// What messages bring.
constexpr Slot first_slot = continuity::first_message_slot;

bool is_of_connection(Slot slot) noexcept {
  return slot == socket_slot || slot == SessionKeeping::own_inflight_slot || slot == KeeperLink::state_slot ||
         slot >= first_slot;
}

UniqueFd take(PortKeeper::Files& files, Slot slot) {
  const auto found = files.find(slot);
  if (found == files.end()) return {};
  UniqueFd fd = std::move(found->second);
  files.erase(found);
  return fd;
}

}  // namespace

SessionKeeping::SessionKeeping(Parts parts)
    : KeeperLink(std::move(parts.link)), limits_(parts.limits), keeps_state_(parts.keeps_state) {
  state_.rings.resize(limits_.rings);
}

Result<std::unique_ptr<SessionKeeping>> SessionKeeping::open(Parts parts, KeeperClaim how) {
  std::unique_ptr<SessionKeeping> keeping(new SessionKeeping(std::move(parts)));
  // The owner is asked once this process is ready: KeeperLink::ask_owner().
  if (auto claimed = keeping->claim(std::min(how, KeeperClaim::stand_by)); !claimed) return std::move(claimed).error();
  return keeping;
}

std::optional<SessionKeeping::Ahead> SessionKeeping::look_ahead() {
  ahead_.reset();
  const Files* const files = prepare();
  const auto record = files == nullptr ? Files::const_iterator() : files->find(record_slot);
  if (files == nullptr || record == files->end() || !files->contains(socket_slot)) return {};
  auto seen = SessionRecord::adopt(duplicate(record->second.get()), limits_);
  if (!seen) return {};  // what is wrong is told to who gets it
  auto state = seen->read();
  ahead_.emplace(std::move(seen).value());
  if (!state) return {};  // a message may be in work
  return Ahead{std::move(state).value(), *files};
}

bool SessionKeeping::is_past(const SessionState* state) const noexcept {
  if (!ahead_) return false;
  try {
    const auto now = ahead_->read();
    return now && !(state != nullptr && now.value() == *state);
  } catch (const std::bad_alloc&) {  // looked at again
    return false;
  }
}

// What was left is this process's now.
Result<void> SessionKeeping::acquire(bool as_prepared) {
  auto ahead = std::exchange(ahead_, std::nullopt);
  if (!as_prepared) ahead.reset();
  UniqueFd record = take(held_, record_slot);
  counters_ = take(held_, counters_slot);
  if (held_.contains(listener_slot) && held_.contains(listener_file_slot))
    found_listener_.emplace(FoundListener{file(listener_slot), file(listener_file_slot)});
  if (!record || !held_.contains(socket_slot)) return begin_anew();
  const auto goes_on = find(std::move(record), std::move(ahead));
  if (goes_on) return {};
  link_.log.warning("the connection that another process left is closed: {}", goes_on.error().message);
  return begin_anew();
}

Result<void> SessionKeeping::find(UniqueFd left, std::optional<SessionRecord> ahead) {
  const bool as_ahead = ahead.has_value();
  auto record = as_ahead ? Result<SessionRecord>(*std::move(ahead)) : SessionRecord::adopt(std::move(left), limits_);
  if (!record) return record.error();
  auto state = record->read();
  if (!state) return state.error();
  record_.emplace(std::move(record).value());
  next_slot_ = std::max(first_slot, held_.rbegin()->first + 1);
  found_.emplace(Found{duplicate(file(socket_slot)), std::move(state).value(), as_ahead});
  return {};
}

// A connection that was left is closed; others may hold its socket, too. With a new record, as a later process would
// refuse the one that was left, too.
Result<void> SessionKeeping::begin_anew() {
  auto record = SessionRecord::create(limits_);
  if (!record) return record.error();
  record_.emplace(std::move(record).value());
  if (const int socket = file(socket_slot); socket >= 0) ::shutdown(socket, SHUT_RDWR);
  end();
  ask([&](PortKeeper& keeper) { return keeper.hold(record_slot, record_->fd()); });
  return {};
}

void SessionKeeping::hold_counters(int fd) noexcept { hold_file(counters_slot, fd); }

void SessionKeeping::listens(int socket, int file) {
  keep(listener_file_slot, file);  // first: a process that finds the socket alone could neither serve nor replace it
  keep(listener_slot, socket);
}

// Others may have the socket, too.
void SessionKeeping::listens_no_more() noexcept {
  if (const int socket = file(listener_slot); socket >= 0) ::shutdown(socket, SHUT_RDWR);
  for (const Slot slot : {listener_slot, listener_file_slot})
    if (held_.erase(slot) != 0) ask([slot](PortKeeper& keeper) { return keeper.drop(slot); });
}

void SessionKeeping::begin(int socket) {
  end();
  keep(socket_slot, socket);
}

void SessionKeeping::go_on(const SessionState& state) {
  state_ = state;
  state_.rings.resize(limits_.rings);
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

void SessionKeeping::set_busy(bool busy) noexcept {
  busy_ = busy;
  if (!has_keeper() || !owns()) return;
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
  attempt([&] { drop_unused(); });
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
  if (keeps_state_) used.push_back(state_slot);
  std::sort(used.begin(), used.end());
  std::erase_if(held_, [&](const auto& held) {
    if (!is_of_connection(held.first) || std::binary_search(used.begin(), used.end(), held.first)) return false;
    ask([&](PortKeeper& keeper) { return keeper.drop(held.first); });
    return true;
  });
}

// The record is another process's from now on.
void SessionKeeping::disown() noexcept {
  record_.reset();
  found_.reset();
  found_listener_.reset();
  next_slot_ = first_slot;
  busy_ = answer_busy_ = false;
  counters_.reset();
  forget_state();
}

// Whoever claims the bundle must not go on with the connection: the record says for good that a message is in work.
void SessionKeeping::mistrust() noexcept {
  if (owns()) record_->begin_message();
}

// The record comes last: without it nobody goes on with the rest. A new one, as the one before says for good that a
// message is in work.
Result<void> SessionKeeping::refill(PortKeeper& keeper) {
  auto record = SessionRecord::create(limits_);
  if (!record) return record.error();
  if (auto written = record->write(state_); !written) return written;
  if (busy_) record->begin_message();
  if (answer_busy_) record->begin_answer();
  record->set_answers_due(answers_due());
  if (auto filled = fill(keeper); !filled) return filled;
  if (auto held = keeper.hold(record_slot, record->fd()); !held) return held;
  record_.emplace(std::move(record).value());
  return {};
}

}  // namespace vhostx::backend
