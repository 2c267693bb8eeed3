// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/unix_socket.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.hpp"
#include "base/peer_process.hpp"

namespace vhostx::backend {
namespace {

// Connects or binds: the address is the same.
template <typename Call>
int with_address(Call call, int socket, const std::string& path) noexcept {
  sockaddr_un address{};
  if (path.size() > socket_path_max) return ENAMETOOLONG;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  int result = 0;
  do {
    result = call(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

/// The name of a socket (getsockname) or of its peer (getpeername).
struct SocketName {
  template <typename Call>
  SocketName(Call call, int socket) noexcept {
    if (call(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) length = 0;
  }

  bool known() const noexcept { return length != 0; }
  bool empty() const noexcept { return length <= offsetof(sockaddr_un, sun_path); }
  // A path ends at its zero byte, which the kernel counts or not; an abstract name begins with one.
  std::string_view path() const noexcept {
    return {address.sun_path, ::strnlen(address.sun_path, socket_path_max + 1)};
  }

  sockaddr_un address{};
  socklen_t length = sizeof address;
};

int option_of(int socket, int option) noexcept {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

struct Named {
  int number;
  const char* name;
};
constexpr Named families[] = {{AF_UNIX, "AF_UNIX"},       {AF_INET, "AF_INET"},     {AF_INET6, "AF_INET6"},
                              {AF_NETLINK, "AF_NETLINK"}, {AF_PACKET, "AF_PACKET"}, {AF_VSOCK, "AF_VSOCK"}};
constexpr Named types[] = {{SOCK_STREAM, "SOCK_STREAM"},
                           {SOCK_DGRAM, "SOCK_DGRAM"},
                           {SOCK_SEQPACKET, "SOCK_SEQPACKET"},
                           {SOCK_RAW, "SOCK_RAW"}};

std::string name_of(int number, std::span<const Named> names, const char* kind) {
  for (const Named& one : names)
    if (one.number == number) return one.name;
  return fmt::format("{} {}", kind, number);
}

}  // namespace

Result<void> check_connected_stream(int socket) {
  const int family = option_of(socket, SO_DOMAIN);
  const int type = option_of(socket, SO_TYPE);
  const bool listens = option_of(socket, SO_ACCEPTCONN) == 1;
  const bool connected = !listens && SocketName(::getpeername, socket).known();
  if (family == AF_UNIX && type == SOCK_STREAM && connected) return {};
  return protocol_violation(
      "the descriptor is an {} {} socket that {}, expected an AF_UNIX SOCK_STREAM socket that is connected",
      name_of(family, families, "family"), name_of(type, types, "type"),
      listens     ? "listens"
      : connected ? "is connected"
                  : "is not connected");
}

Result<std::string> listening_path(int socket) {
  const int family = option_of(socket, SO_DOMAIN);
  if (family < 0) return invalid_argument("{}, expected a socket", std::generic_category().message(errno));
  const int type = option_of(socket, SO_TYPE);
  const bool listens = option_of(socket, SO_ACCEPTCONN) == 1;
  if (family != AF_UNIX || type != SOCK_STREAM || !listens)
    return invalid_argument("it is an {} {} socket that {}, expected an AF_UNIX SOCK_STREAM socket that listens",
                            name_of(family, families, "family"), name_of(type, types, "type"),
                            listens ? "listens" : "does not listen");
  const SocketName name(::getsockname, socket);
  if (!name.known()) return make_system_error(errno, "getsockname");
  if (name.path().empty()) return invalid_argument("it is bound to no path, expected one: abstract names have no mode");
  return std::string(name.path());
}

Result<UniqueFd> duplicate_listening(int socket, Releases& releases) {
  ReleaseTicket ticket = releases.ticket();
  if (!ticket) return make_system_error(ENOMEM, "duplicating the socket {}", socket);
  UniqueFd own(::fcntl(socket, F_DUPFD_CLOEXEC, 0), std::move(ticket));
  if (!own) return make_system_error(errno, "duplicating the socket {}", socket);
  if (auto set = set_nonblocking(own.get()); !set) return std::move(set).error();
  if (::listen(own.get(), SOMAXCONN) != 0) return make_system_error(errno, "listening on the socket {}", socket);
  return own;
}

Result<void> set_nonblocking(int socket) {
  const int flags = ::fcntl(socket, F_GETFL);
  if (flags < 0 || ((flags & O_NONBLOCK) == 0 && ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0))
    return make_system_error(errno, "making the socket {} non-blocking", socket);
  return {};
}

Result<UniqueFd> make_unix_socket(Releases* releases) {
  ReleaseTicket ticket = releases == nullptr ? ReleaseTicket() : releases->ticket();
  if (releases != nullptr && !ticket) return make_system_error(ENOMEM, "socket");
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), std::move(ticket));
  if (!socket) return make_system_error(errno, "socket");
  return socket;
}

int connect_unix(int socket, const std::string& path) noexcept { return with_address(::connect, socket, path); }

int bind_unix(int socket, const std::string& path) noexcept { return with_address(::bind, socket, path); }

// The kernel remembers who connected or listened at the other end. One end of each connection to a port has a name;
// those of a socketpair(2), which a front-end in our own process may have made, have none.
bool leads_back_here(int socket, const std::string& path) noexcept {
  const SocketName peer(::getpeername, socket);
  const SocketName own(::getsockname, socket);
  if (peer.path() == path || own.path() == path) return true;
  return peer_pid(socket) == ::getpid() && (!peer.empty() || !own.empty());
}

}  // namespace vhostx::backend
