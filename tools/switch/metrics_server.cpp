// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/metrics_server.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <microhttpd.h>
#include <string_view>

#include <sys/socket.h>

namespace vhostx::tools {
namespace {

struct Destroy {
  void operator()(MHD_Response* response) const noexcept { MHD_destroy_response(response); }
};
using Response = std::unique_ptr<MHD_Response, Destroy>;

// Longer requests are refused. A GET of Prometheus has some 300 bytes.
constexpr std::size_t connection_memory = 16 * 1024;

/// Each connection carries one request: none has to be kept for a client that may come back.
MHD_Result reply(MHD_Connection* connection, unsigned status, const std::string& body, const char* type,
                 const char* allow = nullptr) {
  const Response response(
      MHD_create_response_from_buffer(body.size(), const_cast<char*>(body.data()), MHD_RESPMEM_MUST_COPY));
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CONTENT_TYPE, type);
  MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CONNECTION, "close");
  if (allow != nullptr) MHD_add_response_header(response.get(), MHD_HTTP_HEADER_ALLOW, allow);
  return MHD_queue_response(connection, status, response.get());
}

MHD_Result answer(MHD_Connection* connection, std::string_view url, std::string_view method,
                  const std::function<std::string()>& text) {
  constexpr const char* plain = "text/plain; charset=utf-8";
  if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD)
    return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "expected GET or HEAD\n", plain, "GET, HEAD");
  if (url != "/metrics") return reply(connection, MHD_HTTP_NOT_FOUND, "expected /metrics\n", plain);
  return reply(connection, MHD_HTTP_OK, text(), "text/plain; version=0.0.4; charset=utf-8");
}

}  // namespace

/// As libmicrohttpd calls them, on its thread. Nothing may be thrown through it.
struct MetricsServer::Callbacks {
  static MHD_Result request(void* self, MHD_Connection* connection, const char* url, const char* method, const char*,
                            const char*, std::size_t*, void**) noexcept try {
    return answer(connection, url, method, static_cast<MetricsServer*>(self)->text_);
  } catch (const std::exception&) {
    return MHD_NO;  // closes the connection
  }

  static void notify(void* self, MHD_Connection* connection, void**, MHD_ConnectionNotificationCode code) noexcept try {
    auto& server = *static_cast<MetricsServer*>(self);
    code == MHD_CONNECTION_NOTIFY_STARTED ? server.connected(connection) : server.disconnected(connection);
  } catch (const std::exception&) {  // not counted: libmicrohttpd's own limit holds
  }
};

Result<std::unique_ptr<MetricsServer>> MetricsServer::open(const MetricsAddress& address,
                                                           std::function<std::string()> text) {
  auto socket = listen_at(address);
  if (!socket) return std::move(socket).error();
  auto server = std::make_unique<MetricsServer>(*std::move(socket), std::move(text));
  if (!server->start()) return Error{ErrorCode::system, "--metrics: libmicrohttpd does not start", errno};
  return server;
}

MetricsServer::MetricsServer(MetricsSocket socket, std::function<std::string()> text)
    : socket_(std::move(socket)), text_(std::move(text)) {}

MetricsServer::~MetricsServer() {
  remove_file(socket_);
  if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
}

bool MetricsServer::start() noexcept {
  // Room for those that have been ended and are not gone yet.
  constexpr unsigned limit = 2 * connections_max;
  // A copy: who closes the one that is handed over, where that fails, is not written down.
  const int listener = fcntl(socket_.fd.get(), F_DUPFD_CLOEXEC, 0);
  if (listener < 0) return false;  // without one, libmicrohttpd would open a port of its own
  daemon_ = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, nullptr, nullptr, Callbacks::request, this,
                             MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, limit,
                             MHD_OPTION_CONNECTION_TIMEOUT, timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                             connection_memory, MHD_OPTION_NOTIFY_CONNECTION, Callbacks::notify, this, MHD_OPTION_END);
  return daemon_ != nullptr;
}

/// The oldest one goes: it has had most time, and whoever holds connections open to keep others out keeps out nobody.
void MetricsServer::connected(MHD_Connection* connection) {
  const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (info == nullptr) return;
  clients_.push_back({connection, info->connect_fd});
  if (clients_.size() <= connections_max) return;
  shutdown(clients_.front().fd, SHUT_RDWR);  // libmicrohttpd sees the end, and closes it
  clients_.pop_front();
}

void MetricsServer::disconnected(MHD_Connection* connection) noexcept {
  clients_.remove_if([&](const Client& client) { return client.connection == connection; });
}

}  // namespace vhostx::tools
