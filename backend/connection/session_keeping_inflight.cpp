// SPDX-License-Identifier: BSD-3-Clause
// SessionKeeping: the port's own record of what is in flight.
//
// A file belongs to one connection: the next one has a new file, in which nothing is in flight. What it says of each
// ring is the business of RingControl (ring_record.hpp).
#include <cerrno>
#include <fcntl.h>
#include <utility>

#include "backend/connection/session_keeping.hpp"
#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using virtqueue::InflightStore;

}  // namespace

Result<void> SessionKeeping::begin_own_inflight() { return make_own_inflight(state_); }

// The record shows it before a ring can start: with the first message that is accepted.
Result<void> SessionKeeping::make_own_inflight(continuity::SessionState& state) {
  auto made = InflightStore::create(static_cast<std::uint16_t>(state_.rings.size()));
  if (!made) return std::move(made).error();
  keep(own_inflight_slot, (*made)->fd());
  state.own_inflight = own_inflight_slot;
  own_inflight_ = std::move(made).value();
  return {};
}

Result<void> SessionKeeping::adopt_own_inflight(Found& found, bool wanted) {
  if (found.state.own_inflight == 0) {
    if (!wanted) return {};
    if (auto made = make_own_inflight(found.state); !made) return made;
    return record_->write(found.state);
  }
  const auto file = held_.find(found.state.own_inflight);
  if (file == held_.end())
    return protocol_violation("the record of what is in flight, descriptor {}, is not in the keeper's bundle",
                              found.state.own_inflight);
  UniqueFd own(::fcntl(file->second.get(), F_DUPFD_CLOEXEC, 0));
  if (!own) return make_system_error(errno, "the record of what is in flight");
  auto adopted = InflightStore::adopt(std::move(own), static_cast<std::uint16_t>(state_.rings.size()));
  if (!adopted) return std::move(adopted).error();
  own_inflight_ = std::move(adopted).value();
  return {};
}

}  // namespace vhostx::backend
