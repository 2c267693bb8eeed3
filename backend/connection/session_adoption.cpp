// SPDX-License-Identifier: BSD-3-Clause
// Session: what a keeper makes of it. The connection outlives the process that serves it.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <utility>

#include "backend/connection/session.hpp"
#include "base/error.hpp"
#include "protocol/codec.hpp"

namespace vhostx::backend {

using protocol::Incoming;
using protocol::Message;

// Whatever is in the record when the answer is sent: with a later process the front-end finds what it was told.
Result<Reply> Session::dispatch_and_keep(Message& message) {
  const auto slots = keeping_->hold(message);
  auto outcome = try_dispatch(message);
  if (!outcome) {
    keeping_->refused(slots);
    return outcome;
  }
  std::uint32_t answer = 0;
  if (*outcome && message.front_end_request() == protocol::FrontEndRequest::get_vring_base)
    answer = (*outcome)->payload_padded_as<protocol::VringState>().num;
  keeping_->accepted(message, slots, answer, device_.has_log());
  return outcome;
}

// Each step goes the way of a front-end's message, with all its checks: whoever can write the record may have forged
// it.
Result<void> Session::set_up(const continuity::SessionState& state, const continuity::PortKeeper::Files& files) {
  device_.sleep();
  for (const auto& step : state.steps())
    for (std::uint32_t i = 0; i < step.times; ++i)
      if (auto repeated = repeat(step, files); !repeated) return repeated;
  return {};
}

Result<void> Session::wake() {
  if (auto awake = device_.wake(); !awake) return awake;
  port_.publish_info();
  return {};
}

Result<void> Session::repeat(const continuity::SessionState::Step& step, const continuity::PortKeeper::Files& files) {
  const auto row = protocol::check_header(Incoming::front_end_requests, step.message.header());
  if (!row) return row.error();
  Message message(step.message.header(), *row);
  std::copy(step.message.payload().begin(), step.message.payload().end(), message.payload().begin());
  for (const auto slot : step.slots) {
    const auto found = files.find(slot);
    if (found == files.end())
      return protocol_violation("{}: descriptor {} is not in the keeper's bundle", (*row)->name, slot);
    UniqueFd fd(::fcntl(found->second.get(), F_DUPFD_CLOEXEC, 0));
    if (!fd) return make_system_error(errno, "{}: descriptor {}", (*row)->name, slot);
    message.add_fd(UniqueFd(fd.release(), parts_.releases->ticket()));
  }
  if (auto good = protocol::check_message(Incoming::front_end_requests, message); !good) return good;
  const auto outcome = try_dispatch(message);
  return outcome ? Result<void>{} : outcome.error();
}

// A message that waits for loans was handled, and is in the record: its answer comes from here.
void Session::leave() {
  device_.stop_rings();
  settle_loans(true);
  if (auto waiting = std::exchange(waiting_, std::nullopt))
    static_cast<void>(answer(waiting->request, std::move(waiting->outcome)));
  device_.leave_requests();
  loan_timer_.cancel();
  release_timer_.cancel();
  channel_->leave();
}

}  // namespace vhostx::backend
