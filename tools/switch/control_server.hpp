// SPDX-License-Identifier: BSD-3-Clause
// ControlServer: the control socket: requests a line, answers a line, on a thread of its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <vhostx/result.hpp>

#include "tools/switch/control_commands.hpp"

namespace vhostx::tools {

/// What clients may cost is bounded: how many there are, the length of a request, what waits for a client that does not
/// read, and how long a client may say nothing. A client's next request is read when its last answer has been sent.
class ControlServer {
 public:
  static constexpr std::size_t clients_max = 16;                    ///< One more ends the oldest.
  static constexpr std::size_t waiting_max = std::size_t{1} << 18;  ///< Bytes of events that wait for a follower.

  struct Patience {
    std::chrono::milliseconds request{60'000};  ///< For a whole request to come.
    std::chrono::milliseconds answer{60'000};   ///< For an answer to be read.
  };

  /// `answer` is called on the server's thread. The socket has mode 0600; a stale one is replaced, a live one is not.
  /// The thread runs where the calling one may run, with its signal mask. Errors: busy, system.
  static Result<std::unique_ptr<ControlServer>> open(const std::string& path,
                                                     std::function<ControlAnswer(std::string_view)> answer,
                                                     const Patience& patience);
  static Result<std::unique_ptr<ControlServer>> open(const std::string& path,
                                                     std::function<ControlAnswer(std::string_view)> answer) {
    return open(path, std::move(answer), Patience{});
  }

  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  /// Waits for the request that is being answered, ends all connections, and removes the socket's file.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// Whether somebody follows events. Any thread.
  bool is_followed() const noexcept;
  /// One event for all who follow, a JSON object without a newline. Does not wait for them: what a slow one has no room
  /// for is counted, and told to it as `events_left_out` when there is room. Any thread.
  void tell(const std::string& event);

 private:
  std::unique_ptr<State> state_;
};

}  // namespace vhostx::tools
