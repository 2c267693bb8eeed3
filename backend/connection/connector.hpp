// SPDX-License-Identifier: BSD-3-Clause
// Connector: the client role. Connects, and reconnects after each loss, with growing pauses.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <asio/any_io_executor.hpp>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

#include "backend/loop/one_shot_timer.hpp"
#include "base/releases.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::backend {

/// Control thread.
class Connector {
 public:
  /// Both may destroy the Connector.
  struct Handlers {
    std::function<void(UniqueFd)> connected;  ///< The socket is released by `releases`. retry() makes it reconnect.
    std::function<void(Error)> failed;        ///< For the first failure and each new errno; attempts continue.
  };
  enum class Start { now, by_retry };  ///< by_retry: there is a connection already.
  /// `options` outlive it.
  Connector(asio::any_io_executor executor, const PortOptions& options, std::shared_ptr<Releases> releases,
            Handlers handlers, Start start);
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  /// The connection is over: tries again after a pause.
  void retry();
  /// The peer has sent something: the next pause is the shortest again.
  void peer_is_good() noexcept { delay_ = options_.reconnect_delay_min; }

 private:
  void attempt();

  const PortOptions& options_;
  std::chrono::milliseconds delay_;
  const std::shared_ptr<Releases> releases_;
  Handlers handlers_;
  int last_error_ = 0;
  OneShotTimer timer_;
};

}  // namespace vhostx::backend
