// SPDX-License-Identifier: BSD-3-Clause
// Listener: the server role's socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <asio/any_io_executor.hpp>

#include <vhostx/result.hpp>

#include "backend/fd_watch.hpp"
#include "backend/one_shot_timer.hpp"
#include "backend/socket_file.hpp"
#include "base/logger.hpp"
#include "base/releases.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::backend {

/// Control thread.
class Listener {
 public:
  /// Listens at `path`, with `access` set before anybody can connect. A socket file that nobody listens on any more is
  /// replaced. `on_socket`, which may destroy the Listener, gets each connection, which is released by `releases`.
  /// While more than `pending_max` waits there for its release, connections wait to be accepted. Errors: busy (somebody
  /// listens there, or it is no socket), system (with the path).
  static Result<std::unique_ptr<Listener>> open(asio::any_io_executor executor, const std::string& path,
                                                const SocketAccess& access, Logger log,
                                                std::shared_ptr<Releases> releases, std::uint32_t pending_max,
                                                std::function<void(UniqueFd)> on_socket);
  /// Removes the socket file if it is still this Listener's.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  Listener(asio::any_io_executor executor, std::string path, UniqueFd socket, std::optional<FileId> file, Logger log,
           std::shared_ptr<Releases> releases, std::uint32_t pending_max, std::function<void(UniqueFd)> on_socket);
  void serve() noexcept;
  void accept_some();
  void wait_for_releases();
  void pause_after(int error);

  std::string path_;
  UniqueFd socket_;
  std::optional<FileId> file_;
  Logger log_;
  const std::shared_ptr<Releases> releases_;
  const std::uint32_t pending_max_;
  std::function<void(UniqueFd)> on_socket_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  bool short_of_fds_ = false;
  bool waits_ = false;  // and has said so
  OneShotTimer timer_;
  FdWatch watch_;  // last: it lets go of socket_ before that is closed
};

}  // namespace vhostx::backend
