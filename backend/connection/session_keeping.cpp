// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/session_keeping.hpp"

#include <algorithm>
#include <exception>
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

template <typename Action>
void SessionKeeping::ask(Action action) noexcept {
  if (keeper_ == nullptr) return;
  try {
    if (auto done = action(*keeper_); !done) fail(done.error().message);
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

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
  keeping->ask([&](PortKeeper& asked) { return asked.hold(record_slot, keeping->record_.fd()); });
  return keeping;
}

SessionKeeping::SessionKeeping(std::unique_ptr<PortKeeper> keeper, SessionRecord record, std::uint32_t rings,
                               const Logger& log)
    : keeper_(std::move(keeper)), record_(std::move(record)), log_(log), next_slot_(first_slot) {
  state_.rings.resize(rings);
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

void SessionKeeping::begin(int socket) {
  end();
  held_.push_back(socket_slot);
  ask([&](PortKeeper& keeper) { return keeper.hold(socket_slot, socket); });
}

void SessionKeeping::go_on(const SessionState& state) {
  state_ = state;
  drop_unused();
}

// Also where memory is out: nothing is allocated for the state.
void SessionKeeping::end() noexcept {
  std::vector<continuity::RingState> rings = std::move(state_.rings);
  std::fill(rings.begin(), rings.end(), continuity::RingState{});
  state_ = {};
  state_.rings = std::move(rings);
  ask([&](PortKeeper&) { return record_.write(state_); });
  set_busy(false);
  for (const Slot slot : held_) ask([&](PortKeeper& keeper) { return keeper.drop(slot); });
  held_.clear();
}

void SessionKeeping::park(std::chrono::milliseconds grace) noexcept {
  ask([&](PortKeeper& keeper) { return keeper.park(grace); });
  keeper_ = nullptr;
}

void SessionKeeping::set_busy(bool busy) noexcept {
  if (keeper_ == nullptr) return;
  busy ? record_.begin_message() : record_.end_message();
}

std::vector<Slot> SessionKeeping::hold(const protocol::Message& message) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < message.fd_count() && keeper_ != nullptr; ++i) {
    slots.push_back(free_slot());
    held_.push_back(slots.back());
    ask([&](PortKeeper& keeper) { return keeper.hold(slots.back(), message.fd(i)); });
  }
  return slots;
}

// A front-end may bring more descriptors than there are numbers.
Slot SessionKeeping::free_slot() noexcept {
  const auto taken = [this](Slot slot) {
    return slot < first_slot || std::find(held_.begin(), held_.end(), slot) != held_.end();
  };
  while (taken(next_slot_)) next_slot_ = std::max(next_slot_ + 1, first_slot);
  return next_slot_++;
}

void SessionKeeping::accepted(const protocol::Message& message, std::span<const Slot> slots, std::uint32_t answer,
                              bool has_log) {
  if (keeper_ == nullptr) return;
  const SessionState before = state_;
  state_.apply(message, slots, answer);
  if (!has_log) state_.forget_log();
  if (state_ == before && slots.empty()) return;
  ask([&](PortKeeper&) { return record_.write(state_); });
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
    ask([slot](PortKeeper& keeper) { return keeper.drop(slot); });
    return true;
  });
}

// To the keeper we may be gone now, while we go on. Whoever claims the bundle must not: the record says for good that a
// message is in work.
void SessionKeeping::fail(const std::string& why) noexcept {
  record_.begin_message();
  keeper_ = nullptr;
  try {
    log_.warning("the keeper failed, and the port goes on without it: {}", why);
  } catch (const std::exception&) {  // only the line is lost
  }
}

}  // namespace vhostx::backend
