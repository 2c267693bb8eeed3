// SPDX-License-Identifier: BSD-3-Clause
// MetricsServer: GET /metrics over HTTP/1.1, by libmicrohttpd, on a thread of its own.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include <vhostx/result.hpp>

#include "tools/switch/metrics_address.hpp"

struct MHD_Connection;
struct MHD_Daemon;

namespace vhostx::tools {

/// One thread waits for all clients at once and for none in particular; it runs where the thread that opens it may run,
/// with its signal mask, and never touches data threads. At most connections_max clients are served at the same time:
/// one more ends the oldest. A client that says nothing for timeout_s is let go.
class MetricsServer {
 public:
  static constexpr unsigned connections_max = 16;
  static constexpr unsigned timeout_s = 5;

  /// `text` makes what is answered; called on the server's thread. Errors: as listen_at(), system (no thread).
  static Result<std::unique_ptr<MetricsServer>> open(const MetricsAddress& address, std::function<std::string()> text);

  MetricsServer(MetricsSocket socket, std::function<std::string()> text);
  /// Ends all connections, and removes the Unix socket's file.
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  const MetricsAddress& address() const noexcept { return socket_.address; }

 private:
  struct Callbacks;
  struct Client {
    MHD_Connection* connection;
    int fd;
  };

  bool start() noexcept;
  void connected(MHD_Connection* connection);
  void disconnected(MHD_Connection* connection) noexcept;

  MetricsSocket socket_;
  const std::function<std::string()> text_;
  MHD_Daemon* daemon_ = nullptr;
  std::list<Client> clients_;  // the server's thread's; oldest first
};

}  // namespace vhostx::tools
