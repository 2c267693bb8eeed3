// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/connector.hpp"

#include <algorithm>
#include <utility>

#include "backend/connection/unix_socket.hpp"
#include "base/error.hpp"

namespace vhostx::backend {

Connector::Connector(asio::any_io_executor executor, const PortOptions& options, std::shared_ptr<Releases> releases,
                     Handlers handlers, Start start)
    : options_(options),
      delay_(options.reconnect_delay_min),
      releases_(std::move(releases)),
      handlers_(std::move(handlers)),
      timer_(std::move(executor)) {
  if (start == Start::now) timer_.start(std::chrono::milliseconds::zero(), [this] { attempt(); });
}

void Connector::attempt() {
  auto socket = make_unix_socket(releases_.get());
  const int error = socket ? connect_unix(socket->get(), options_.socket_path) : socket.error().system_errno;
  if (error == 0) {
    last_error_ = 0;
    const auto connected = handlers_.connected;  // a copy: it may destroy this Connector
    return connected(std::move(socket).value());
  }
  retry();
  if (last_error_ == error) return;
  Error report = make_system_error(error, "connecting to '{}'", options_.socket_path);
  last_error_ = error;
  const auto failed = handlers_.failed;
  failed(std::move(report));
}

void Connector::retry() {
  timer_.start(delay_, [this] { attempt(); });
  delay_ = std::min(2 * delay_, options_.reconnect_delay_max);
}

}  // namespace vhostx::backend
