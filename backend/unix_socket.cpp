// SPDX-License-Identifier: BSD-3-Clause
#include "backend/unix_socket.hpp"

#include <cerrno>
#include <cstring>

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

}  // namespace

Result<UniqueFd> make_unix_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return make_system_error(errno, "socket");
  return socket;
}

int connect_unix(int socket, const std::string& path) noexcept { return with_address(::connect, socket, path); }

int bind_unix(int socket, const std::string& path) noexcept { return with_address(::bind, socket, path); }

}  // namespace vhostx::backend
