// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connector.hpp"

#include <algorithm>
#include <utility>

#include "backend/unix_socket.hpp"
#include "base/error.hpp"

namespace vhostx::backend {

Connector::Connector(asio::any_io_executor executor, const PortOptions& options, Logger log,
                     std::shared_ptr<Releases> releases, std::function<void(UniqueFd)> on_socket)
    : path_(options.socket_path),
      delay_min_(options.reconnect_delay_min),
      delay_max_(options.reconnect_delay_max),
      delay_(delay_min_),
      log_(std::move(log)),
      releases_(std::move(releases)),
      on_socket_(std::move(on_socket)),
      timer_(std::move(executor)) {
  timer_.start(std::chrono::milliseconds::zero(), [this] { attempt(); });
}

void Connector::attempt() {
  auto socket = make_unix_socket(releases_.get());
  const int error = socket ? connect_unix(socket->get(), path_) : socket.error().system_errno;
  if (error == 0) {
    last_error_ = 0;
    const auto on_socket = on_socket_;  // a copy: it may destroy this Connector
    return on_socket(std::move(socket).value());
  }
  // Said once, and again when it is another error: attempts go on for ever.
  if (std::exchange(last_error_, error) != error)
    log_.info("{}; trying again", make_system_error(error, "connecting to '{}'", path_).message);
  retry();
}

void Connector::retry() {
  timer_.start(delay_, [this] { attempt(); });
  delay_ = std::min(2 * delay_, delay_max_);
}

}  // namespace vhostx::backend
