// SPDX-License-Identifier: BSD-3-Clause
// RelayLoop: waits for connections, and keeps a Relay for each, until a signal.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <string>

#include <vhostx/result.hpp>

#include "tools/probe/trace/listening_socket.hpp"
#include "tools/probe/trace/relay.hpp"

namespace vhostx::tools::probe {

struct RelayLoopOptions {
  std::string listen;
  /// The other end for a new connection; blocks for a moment at most.
  std::function<Result<UniqueFd>()> connect;
  bool reverse = false;  ///< Who connects is the back-end, and connect() leads to the front-end.
  bool count_notifications = false;
  std::chrono::milliseconds tick{200};  ///< Between two calls of on_tick.
  bool once = false;                    ///< Ends with the first connection.
};

struct RelayLoopHandlers {
  EventSink on_event;
  /// About every `tick`, and once at the end.
  std::function<void(const std::list<Relay>&)> on_tick;
  /// A connection could not be made.
  std::function<void(const std::string&)> on_problem;
};

/// Blocks the calling thread until SIGINT or SIGTERM (catch_end_signals() gave `signals`), or, with `once`, the end of
/// the first connection. All connections are closed by then. Error: the socket cannot be listened at.
Result<void> run_relays(const RelayLoopOptions& options, const RelayLoopHandlers& handlers, int signals);

}  // namespace vhostx::tools::probe
