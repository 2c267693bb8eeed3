// SPDX-License-Identifier: BSD-3-Clause
#include "backend/unix_socket.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.hpp"

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

template <typename Call>
bool has_name(Call call, int socket) noexcept {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  return call(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0 && length > offsetof(sockaddr_un, sun_path);
}

}  // namespace

Result<UniqueFd> make_unix_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return make_system_error(errno, "socket");
  return socket;
}

int connect_unix(int socket, const std::string& path) noexcept { return with_address(::connect, socket, path); }

int bind_unix(int socket, const std::string& path) noexcept { return with_address(::bind, socket, path); }

// The kernel remembers who connected or listened at the other end. One end of each connection to a port has a name;
// those of a socketpair(2), which a front-end in our own process may have made, have none.
bool leads_back_here(int socket) noexcept {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.pid != ::getpid()) return false;
  return has_name(::getpeername, socket) || has_name(::getsockname, socket);
}

}  // namespace vhostx::backend
