// SPDX-License-Identifier: BSD-3-Clause
// ControlConnection: one client of the control socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>

#include "tools/switch/control_server.hpp"

namespace vhostx::tools {

/// A connection. All of it is the server's thread's.
class ControlConnection : public std::enable_shared_from_this<ControlConnection> {
 public:
  using Socket = asio::local::stream_protocol::socket;

  ControlConnection(Socket socket, const ControlServer::Patience& patience,
                    const std::function<ControlAnswer(std::string_view)>& answer,
                    std::function<void(ControlConnection&, bool)> on_change)
      : socket_(std::move(socket)),
        deadline_(socket_.get_executor()),
        patience_(patience),
        answer_(answer),
        on_change_(std::move(on_change)) {}

  void read_request();
  void tell(std::string_view event);
  void miss(std::uint64_t events) noexcept { left_out_ += events; }
  void end();
  bool follows() const noexcept { return follows_; }

 private:
  void handle_request(const std::error_code& error, std::size_t length);
  void give_answer(ControlAnswer answer);
  void follow();
  void send_events();
  void expect_within(std::chrono::milliseconds patience);

  Socket socket_;
  asio::steady_timer deadline_;
  const ControlServer::Patience& patience_;
  const std::function<ControlAnswer(std::string_view)>& answer_;
  std::function<void(ControlConnection&, bool)> on_change_;  // true: follows, false: has ended
  std::string input_;
  std::string output_;   // being written
  std::string waiting_;  // events behind it
  std::uint64_t left_out_ = 0;
  char unread_ = 0;
  bool follows_ = false;
  bool writes_ = false;
};

}  // namespace vhostx::tools
