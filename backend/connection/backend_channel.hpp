// SPDX-License-Identifier: BSD-3-Clause
// BackendChannel: our requests to the front-end, on the socket that SET_BACKEND_REQ_FD brought (vhost-user "Back-end
// communication"). Only this channel waits for answers, not the control thread.
#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>

#include <asio/any_io_executor.hpp>

#include <vhostx/result.hpp>

#include "backend/connection/session_keeping.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "base/logger.hpp"
#include "base/unique_fd.hpp"
#include "protocol/channel.hpp"

namespace vhostx::backend {

/// Control thread. At most one call and one error wait for each vring: repeated requests are merged.
class BackendChannel {
 public:
  /// `reply_timeout` bounds the wait for each acknowledgement. Errors close this channel and are logged.
  /// keeping: null, or where the connection is kept; outlives this.
  BackendChannel(asio::any_io_executor executor, UniqueFd socket, std::chrono::milliseconds reply_timeout, Logger log,
                 SessionKeeping* keeping);
  BackendChannel(const BackendChannel&) = delete;
  BackendChannel& operator=(const BackendChannel&) = delete;

  /// VRING_CALL and VRING_ERR; `index` is below 256. Each asks for an acknowledgement, and the next request waits for
  /// it, as "In-band notifications" requires.
  void call(std::uint16_t index) { ask(calls_, index); }
  void error(std::uint16_t index) { ask(errors_, index); }
  /// Answers to at most `count` requests of the process before may come, among those to ours. They look the same: one
  /// that comes first is taken for ours, and ours is then the one too many. That is as good, as calls are repeated.
  void expect_others(std::uint32_t count) noexcept { others_ = count; }
  /// The socket goes on with another process.
  void leave() noexcept;
  /// Nothing is sent for a ring that is stopped.
  void forget(std::uint16_t index) noexcept;

 private:
  using Pending = std::bitset<256>;

  void ask(Pending& pending, std::uint16_t index);
  void send_next();
  void send(protocol::BackEndRequest request, std::uint16_t index);
  protocol::ChannelHandlers channel_handlers();
  void on_reply(const protocol::Message& reply);
  void close(const Error& reason);

  Logger log_;
  const std::chrono::milliseconds reply_timeout_;
  SessionKeeping* const keeping_;
  std::uint32_t others_ = 0;
  Pending calls_;
  Pending errors_;
  std::size_t next_ = 0;  // the ring to check first, so that each has its turn
  std::optional<protocol::BackEndRequest> awaited_;
  OneShotTimer timer_;
  protocol::Channel channel_;
};

}  // namespace vhostx::backend
