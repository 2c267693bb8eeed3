// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/session_keeping.hpp"

#include <algorithm>
#include <utility>

#include <sys/socket.h>

namespace vhostx::backend {
namespace {

using continuity::PortKeeper;
using continuity::SessionRecord;
using continuity::SessionState;
using Slot = continuity::Slot;

constexpr Slot socket_slot = 0;
constexpr Slot record_slot = 1;
constexpr Slot first_slot = 16;

UniqueFd take(PortKeeper::Files& files, Slot slot) {
  const auto found = files.find(slot);
  if (found == files.end()) return {};
  UniqueFd fd = std::move(found->second);
  files.erase(found);
  return fd;
}

}  // namespace

Result<std::unique_ptr<SessionKeeping>> SessionKeeping::open(std::unique_ptr<PortKeeper> keeper,
                                                             const continuity::RecordLimits& limits,
                                                             const Logger& log) {
  auto files = keeper->claim();
  if (!files) return files.error();
  UniqueFd file = take(*files, record_slot);
  auto left = file ? SessionRecord::adopt(std::move(file), limits) : Result<SessionRecord>(Error{});
  const bool fits = static_cast<bool>(left);
  if (!fits && !left.error().message.empty())
    log.warning("the connection that another process left is closed: {}", left.error().message);
  auto record = fits ? std::move(left) : SessionRecord::create(limits);
  if (!record) return record.error();
  std::unique_ptr<SessionKeeping> keeping(
      new SessionKeeping(std::move(keeper), std::move(record).value(), limits.rings, log));
  for (const auto& [slot, fd] : *files) keeping->held_.push_back(slot);
  if (fits)
    keeping->find(*std::move(files));
  else
    keeping->close_left(take(*files, socket_slot));
  keeping->check(keeping->keeper_->hold(record_slot, keeping->record_.fd()));
  return keeping;
}

SessionKeeping::SessionKeeping(std::unique_ptr<PortKeeper> keeper, SessionRecord record, std::uint32_t rings,
                               const Logger& log)
    : keeper_(std::move(keeper)), record_(std::move(record)), rings_(rings), log_(log), next_slot_(first_slot) {
  clear();
}

void SessionKeeping::find(PortKeeper::Files files) {
  UniqueFd socket = take(files, socket_slot);
  if (!socket) return end();
  auto state = record_.read();
  if (state) {
    for (const auto& [slot, fd] : files) next_slot_ = std::max(next_slot_, slot + 1);
    found_.emplace(Found{std::move(socket), std::move(state).value(), std::move(files)});
    return;
  }
  log_.warning("the connection that another process left is closed: {}", state.error().message);
  close_left(std::move(socket));
}

// Others may hold the socket, too.
void SessionKeeping::close_left(UniqueFd socket) {
  if (socket) ::shutdown(socket.get(), SHUT_RDWR);
  end();
}

void SessionKeeping::clear() {
  state_ = {};
  state_.rings.resize(rings_);
}

void SessionKeeping::begin(int socket) {
  end();
  if (keeper_ == nullptr) return;
  held_.push_back(socket_slot);
  check(keeper_->hold(socket_slot, socket));
}

void SessionKeeping::go_on(const SessionState& state) {
  state_ = state;
  drop_unused();
}

void SessionKeeping::end() {
  clear();
  check(record_.write(state_));
  record_.end_message();
  for (const Slot slot : std::exchange(held_, {}))
    if (keeper_ != nullptr) check(keeper_->drop(slot));
}

void SessionKeeping::park(std::chrono::milliseconds grace) {
  if (keeper_ != nullptr) check(keeper_->park(grace));
  keeper_ = nullptr;
}

void SessionKeeping::set_busy(bool busy) noexcept { busy ? record_.begin_message() : record_.end_message(); }

std::vector<Slot> SessionKeeping::hold(const protocol::Message& message) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < message.fd_count() && keeper_ != nullptr; ++i) {
    slots.push_back(next_slot_++);
    held_.push_back(slots.back());
    check(keeper_->hold(slots.back(), message.fd(i)));
  }
  return slots;
}

void SessionKeeping::accepted(const protocol::Message& message, std::span<const Slot> slots, std::uint32_t answer,
                              bool has_log) {
  if (keeper_ == nullptr) return;
  const SessionState before = state_;
  state_.apply(message, slots, answer);
  if (!has_log) state_.forget_log();
  if (state_ == before && slots.empty()) return;
  check(record_.write(state_));
  drop_unused();
}

void SessionKeeping::refused(std::span<const Slot> slots) {
  if (!slots.empty()) drop_unused();
}

void SessionKeeping::drop_unused() {
  std::vector<Slot> used = state_.slots();
  used.push_back(socket_slot);
  std::sort(used.begin(), used.end());
  std::erase_if(held_, [&](Slot slot) {
    if (std::binary_search(used.begin(), used.end(), slot)) return false;
    if (keeper_ != nullptr) check(keeper_->drop(slot));
    return true;
  });
}

void SessionKeeping::check(const Result<void>& done) {
  if (done || keeper_ == nullptr) return;
  log_.warning("the keeper failed, and the port goes on without it: {}", done.error().message);
  keeper_ = nullptr;
}

}  // namespace vhostx::backend
