// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/backend_channel.hpp"

#include <cassert>
#include <utility>

#include "base/error.hpp"
#include "protocol/codec.hpp"
#include "protocol/payloads.hpp"
#include "protocol/request_table.hpp"

namespace vhostx::backend {

using protocol::BackEndRequest;
using protocol::Incoming;

BackendChannel::BackendChannel(asio::any_io_executor executor, UniqueFd socket, std::chrono::milliseconds reply_timeout,
                               Logger log, SessionKeeping* keeping)
    : log_(std::move(log)),
      reply_timeout_(reply_timeout),
      keeping_(keeping),
      timer_(executor),
      channel_(executor, std::move(socket), Incoming::replies_to_back_end, channel_handlers(),
               {.message_timeout = reply_timeout}) {}

protocol::ChannelHandlers BackendChannel::channel_handlers() {
  protocol::ChannelHandlers handlers{.on_message = [this](protocol::Message&& reply) { on_reply(reply); },
                                     .on_closed = [this](const Error& reason) { close(reason); },
                                     .on_busy = {}};
  if (keeping_ != nullptr) handlers.on_busy = [this](bool busy) { keeping_->set_answer_busy(busy); };
  return handlers;
}

void BackendChannel::leave() noexcept {
  timer_.cancel();
  channel_.leave();
}

void BackendChannel::forget(std::uint16_t index) noexcept {
  calls_.reset(index);
  errors_.reset(index);
}

void BackendChannel::ask(Pending& pending, std::uint16_t index) {
  assert(index < pending.size());
  if (!channel_.is_open()) return;
  pending.set(index);
  send_next();
}

void BackendChannel::send_next() {
  if (awaited_ || !channel_.is_open() || (calls_.none() && errors_.none())) return;
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const auto index = static_cast<std::uint16_t>((next_ + i) % calls_.size());
    if (!errors_.test(index) && !calls_.test(index)) continue;
    const bool error = errors_.test(index);
    (error ? errors_ : calls_).reset(index);
    next_ = index + 1u;
    return send(error ? BackEndRequest::vring_err : BackEndRequest::vring_call, index);
  }
}

void BackendChannel::send(BackEndRequest request, std::uint16_t index) {
  awaited_ = request;
  timer_.start(reply_timeout_, [this] {
    close(make_error(ErrorCode::timed_out, "no answer to {} within {} ms", protocol::row_of(*awaited_).name,
                     reply_timeout_.count()));
  });
  // A request of 20 bytes goes into a Unix socket's buffer whole or not at all: none is ever half sent.
  if (keeping_ != nullptr) keeping_->request_sent();
  const auto sent = channel_.send(protocol::make_request(request, protocol::VringState{index, 0}, true));
  if (!sent) close(sent.error());
}

void BackendChannel::on_reply(const protocol::Message& reply) {
  if (keeping_ != nullptr) keeping_->request_answered();
  if (!awaited_ || reply.back_end_request() != *awaited_) {
    if (others_ != 0) {
      --others_;
      return;
    }
    return close(protocol_violation("an unexpected answer to {}",
                                    protocol::request_name(Incoming::replies_to_back_end, reply.request())));
  }
  const auto status = reply.payload_as<protocol::U64>();
  if (status && status->value != 0)
    log_.debug("{} was refused by the front-end: {:#x}", protocol::row_of(*awaited_).name, status->value);
  awaited_.reset();
  timer_.cancel();
  send_next();
}

void BackendChannel::close(const Error& reason) {
  if (reason.code == ErrorCode::closed)
    log_.debug("back-end request channel closed by the front-end");
  else
    log_.warning("back-end request channel closed: {}", reason.message);
  timer_.cancel();
  channel_.close();
  if (keeping_ != nullptr) keeping_->requests_ended();
  calls_.reset();
  errors_.reset();
}

}  // namespace vhostx::backend
