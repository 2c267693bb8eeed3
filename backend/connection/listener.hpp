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

#include "backend/connection/socket_file.hpp"
#include "backend/loop/fd_watch.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "base/logger.hpp"
#include "base/releases.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::backend {

/// Control thread.
class Listener {
 public:
  struct Parts {
    asio::any_io_executor executor;
    Logger log;
    std::shared_ptr<Releases> releases;       ///< Releases each connection.
    std::uint32_t pending_max;                ///< While more wait there for release, connections wait to be accepted.
    std::function<void(UniqueFd)> on_socket;  ///< Gets each connection; may destroy the Listener.
  };

  /// Listens at `path`, with `access` set before anybody can connect. A socket file that nobody listens on any more is
  /// replaced. Errors: busy (somebody listens there, or it is no socket), system (with the path).
  static Result<std::unique_ptr<Listener>> open(const std::string& path, const SocketAccess& access, Parts parts);
  /// Listens by a duplicate of `socket`, which somebody else has bound to `path`. Error: system.
  static Result<std::unique_ptr<Listener>> adopt(int socket, const std::string& path, Parts parts);
  /// Goes on with a socket on which another process listened at `path`. `file` is what it was bound to (O_PATH).
  /// Errors: busy (that is not at `path` any more), invalid_argument (it is no socket that listens there), system.
  static Result<std::unique_ptr<Listener>> go_on(int socket, int file, const std::string& path,
                                                 const SocketAccess& access, Parts parts);

  int socket() const noexcept { return socket_.get(); }
  /// The socket file (O_PATH) as long as it is this Listener's. Error: busy, system.
  Result<UniqueFd> open_file() const;
  /// Another process goes on with the socket: it goes on listening, and its file stays.
  void leave() noexcept;

  /// Removes the socket file if it is still this Listener's. A socket of somebody else goes on listening.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  enum class Owner { us, somebody_else };
  Listener(std::string path, UniqueFd socket, Owner owner, std::optional<FileId> file, Parts parts);
  void serve() noexcept;
  void accept_some();
  void wait_for_releases();
  void pause_after(int error);

  std::string path_;
  UniqueFd socket_;
  Owner owner_;
  std::optional<FileId> file_;
  const Parts parts_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  bool short_of_fds_ = false;
  bool waits_ = false;  // and has logged that
  OneShotTimer timer_;
  FdWatch watch_;  // last: it releases socket_ before that is closed
};

}  // namespace vhostx::backend
