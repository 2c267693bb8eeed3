// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/session.hpp"

#include <exception>
#include <limits>
#include <utility>

#include "base/error.hpp"
#include "protocol/codec.hpp"
#include "protocol/describe.hpp"
#include "protocol/request_table.hpp"

namespace vhostx::backend {

using protocol::Incoming;
using protocol::Message;
using protocol::ReplyKind;

namespace {
constexpr unsigned refusals_logged_max = 32;
constexpr std::chrono::seconds releases_patience{5};  // a release thread may have to wait for a processor
}  // namespace

Session::Session(PortHost& port, const PortParts& parts, SessionKeeping* keeping)
    : port_(port),
      parts_(parts),
      keeping_(keeping),
      device_(port, parts, keeping),
      loan_timer_(port.executor()),
      release_timer_(port.executor()) {}

void Session::begin(UniqueFd socket) {
  channel_.emplace(port_.executor(), std::move(socket), Incoming::front_end_requests, channel_handlers(),
                   protocol::ChannelOptions{.message_timeout = parts_.options.message_timeout});
}

protocol::ChannelHandlers Session::channel_handlers() {
  protocol::ChannelHandlers handlers{.on_message = [this](Message&& message) { handle(std::move(message)); },
                                     .on_closed = [this](Error reason) { port_.end_session(std::move(reason)); },
                                     .on_busy = {}};
  if (keeping_ != nullptr) handlers.on_busy = [this](bool busy) { keeping_->set_busy(busy); };
  return handlers;
}

void Session::handle(Message&& message) {
  if (parts_.log.writes(LogLevel::debug))
    parts_.log.debug("{}", protocol::describe(Incoming::front_end_requests, message));
  const Request request{message.header(), message.row()};
  auto outcome = keeping_ == nullptr ? try_dispatch(message) : dispatch_and_keep(message);
  static_cast<void>(message.take_fds());  // descriptors that no handler took now count as waiting for release
  port_.look_after_loans();
  if (parts_.is_crowded()) {
    channel_->pause();
    releases_before_ = std::numeric_limits<std::uint32_t>::max();
    look_at_releases_in(std::chrono::milliseconds(0));
  }
  if (settle_loans(false)) return finish(request, std::move(outcome));
  // A ring has stopped with loans out: the application is asked for them first, and other ports do not wait.
  waiting_.emplace(Waiting{request, std::move(outcome)});
  channel_->pause();
  wait_for_loans();
  port_.publish_info();
  port_.turn_done();
}

void Session::finish(const Request& request, Result<Reply> outcome) {
  port_.publish_info();  // before the answer: whoever sees the answer may call info()
  auto answered = answer(request, std::move(outcome));
  // Either may destroy this session.
  if (answered)
    port_.turn_done();
  else
    port_.end_session(answered.error());
}

// Each message may bring descriptors that take long to close: the next one is read when fewer of them wait.
void Session::look_at_releases_in(std::chrono::milliseconds pause) {
  release_timer_.start(pause, [this] { look_at_releases(); });
}

void Session::look_at_releases() {
  constexpr std::chrono::milliseconds pause{5};
  if (!parts_.is_crowded()) return waiting_ ? void() : channel_->resume();
  const auto now = std::chrono::steady_clock::now();
  const std::uint32_t pending = parts_.releases->pending();
  if (pending < releases_before_) {  // none are added meanwhile, so this ends
    releases_before_ = pending;
    releases_due_ = now + releases_patience;
  }
  if (now < releases_due_) return look_at_releases_in(pause);
  port_.end_session(
      make_error(ErrorCode::limit,
                 "none of the {} descriptors and mappings that wait to be released was released for {} s, "
                 "expected at most {} to wait",
                 pending, releases_patience.count(), parts_.pending_max()));
}

bool Session::lingers() {
  device_.stop_rings();
  if (settle_loans(false)) return false;
  channel_->close();
  release_timer_.cancel();
  if (!std::exchange(waiting_, std::nullopt)) wait_for_loans();  // else it was waiting already
  return true;
}

void Session::end_without_loans() {
  device_.stop_rings();
  settle_loans(true);
}

bool Session::settle_loans(bool give_up) {
  bool settled = true;
  for (const auto& ring : device_.rings()) settled &= ring->settle_loans(give_up);
  return settled;
}

void Session::wait_for_loans() {
  loans_due_ = std::chrono::steady_clock::now() + parts_.options.loan_timeout;
  look_at_loans_in(std::chrono::milliseconds(0));
}

void Session::look_at_loans_in(std::chrono::milliseconds pause) {
  loan_timer_.start(pause, [this] {
    try {
      look_at_loans();
    } catch (const std::exception& error) {
      port_.end_session(make_error(ErrorCode::out_of_memory, "{}", error.what()));
    }
  });
}

// Loans are polled: the application frees mbufs on threads of its own, without a system call to notify us.
void Session::look_at_loans() {
  constexpr std::chrono::milliseconds pause{1};
  if (!settle_loans(std::chrono::steady_clock::now() >= loans_due_)) return look_at_loans_in(pause);
  if (!waiting_) return port_.finish_session();
  port_.look_after_loans();
  Waiting waiting = *std::exchange(waiting_, std::nullopt);
  channel_->resume();
  finish(waiting.request, std::move(waiting.outcome));
}

// Exceptions here mean that memory or Asio's descriptors ran out: only this request fails.
Result<Reply> Session::try_dispatch(Message& message) {
  try {
    return dispatch(message);
  } catch (const std::exception& error) {
    return make_error(ErrorCode::out_of_memory, "{}: {}",
                      protocol::request_name(Incoming::front_end_requests, message.request()), error.what());
  }
}

Result<Reply> Session::dispatch(Message& message) {
  const auto* row = message.row();
  if (row == nullptr)
    return protocol_violation("request {}: unknown, expected 1 to {}", message.request(),
                              protocol::front_end_rows().size());
  RingControl* ring = nullptr;
  if (const auto index = protocol::vring_index(Incoming::front_end_requests, message)) {
    const auto found = device_.ring(*index);
    if (!found) return protocol_violation("{}: {}", row->name, found.error().message);
    ring = *found;
  }
  if (auto legal = protocol::check_legal(*row, device_.agreement(ring)); !legal) return std::move(legal).error();
  const Handler handler = find_handler(message.request());
  if (handler == nullptr) return make_error(ErrorCode::unsupported, "{}: not served by a network back-end", row->name);
  return handler({device_, message, ring});
}

// A refused request has changed nothing. With an acknowledgement the connection continues; else the error ends it.
Result<void> Session::answer(const Request& request, Result<Reply> outcome) {
  const bool ack = wants_ack(request);
  if (!outcome) {
    if (!ack) return std::move(outcome).error();
    log_refusal(outcome.error());
    return channel_->send(protocol::make_ack(request.header, 1));
  }
  if (*outcome) return channel_->send(std::move(**outcome));
  if (ack) return channel_->send(protocol::make_ack(request.header, 0));
  return {};
}

// A front-end must not fill the application's log.
void Session::log_refusal(const Error& error) {
  if (refusals_ > refusals_logged_max) return;
  if (refusals_++ < refusals_logged_max)
    parts_.log.warning("refused: {}", error.message);
  else
    parts_.log.warning("further refused requests of this connection are not logged");
}

// vhost-user "VHOST_USER_PROTOCOL_F_REPLY_ACK": a request with a reply of its own gets no acknowledgement.
bool Session::wants_ack(const Request& request) const noexcept {
  return request.header.needs_reply() && device_.protocol_features().has(protocol::ProtocolFeature::reply_ack) &&
         (request.row == nullptr || request.row->reply == ReplyKind::ack);
}

}  // namespace vhostx::backend
