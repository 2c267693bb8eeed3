// SPDX-License-Identifier: BSD-3-Clause
// Session: one connection. For each message from the channel it checks by the request table whether it may come, calls
// its handler, answers, and only then takes the next one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <vhostx/result.hpp>

#include "backend/connection/device.hpp"
#include "backend/connection/handlers.hpp"
#include "backend/connection/port_host.hpp"
#include "backend/connection/session_keeping.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "base/unique_fd.hpp"
#include "protocol/channel.hpp"
#include "protocol/message.hpp"

namespace vhostx::backend {

/// Control thread. Owned by its port, which may destroy it during its calls.
class Session {
 public:
  /// keeping: null, or where the connection is kept; outlives this.
  Session(PortHost& port, const PortParts& parts, SessionKeeping* keeping);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Device& device() noexcept { return device_; }
  bool peer_is_gone() const noexcept { return channel_ && channel_->peer_is_gone(); }

  /// The front-end's messages are read from now on. Once, before anything but set_up() and the destructor.
  void begin(UniqueFd socket);

  /// Stops the rings and ends the connection. True: loans are out, and the session calls PortHost::finish_session()
  /// when it no longer waits for them.
  bool lingers();
  /// Sets up again what a front-end has set up at another process, as far as that one does not notice: nothing starts.
  /// Error: something does not fit; this session is of no use then.
  Result<void> set_up(const continuity::SessionState& state, const continuity::PortKeeper::Files& files);
  /// The connection is this process's: what was set up starts. Error: as set_up(); end the session then.
  Result<void> wake();
  /// The rings stop, loans are given up, and the connection stays open for another process.
  void leave();
  /// The same, but waits for nothing.
  void end_without_loans();

 private:
  /// What an answer needs of a request. The row is null for an unknown one.
  struct Request {
    protocol::Header header;
    const protocol::RequestRow* row;
  };
  /// The answer to a request, sent when the rings that it stopped have their loans back.
  struct Waiting {
    Request request;
    Result<Reply> outcome;
  };

  protocol::ChannelHandlers channel_handlers();
  Result<Reply> dispatch_and_keep(protocol::Message& message);
  Result<void> repeat(const continuity::SessionState::Step& step, const continuity::PortKeeper::Files& files);
  void finish(const Request& request, Result<Reply> outcome);
  void look_at_releases_in(std::chrono::milliseconds pause);
  void look_at_releases();
  bool settle_loans(bool give_up);
  void wait_for_loans();
  void look_at_loans_in(std::chrono::milliseconds pause);
  void look_at_loans();
  void handle(protocol::Message&& message);
  Result<Reply> dispatch(protocol::Message& message);
  Result<Reply> try_dispatch(protocol::Message& message);
  Result<void> answer(const Request& request, Result<Reply> outcome);
  void log_refusal(const Error& error);
  bool wants_ack(const Request& request) const noexcept;

  PortHost& port_;
  const PortParts& parts_;
  SessionKeeping* const keeping_;
  Device device_;
  unsigned refusals_ = 0;
  std::optional<Waiting> waiting_;
  std::chrono::steady_clock::time_point loans_due_;
  OneShotTimer loan_timer_;
  std::chrono::steady_clock::time_point releases_due_;
  std::uint32_t releases_before_ = 0;  // lowest number of pending releases so far
  OneShotTimer release_timer_;
  std::optional<protocol::Channel> channel_;  // none before begin()
};

}  // namespace vhostx::backend
