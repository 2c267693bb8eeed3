// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/listening_socket.hpp"

#include <cerrno>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/peer_process.hpp"
#include "tools/front_end/front_end.hpp"
#include "tools/probe/processes.hpp"
#include "tools/probe/socket_users.hpp"

namespace vhostx::tools::probe {

Result<ListeningSocket> ListeningSocket::open(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode))
    return make_error(ErrorCode::busy, "exists and is no socket: it is not replaced");
  // Nothing connects to it to find out: a relay would open a connection to its back-end.
  if (const auto users = users_of(path); users && users->listening) {
    const auto listener = find_listener(path);
    return make_error(ErrorCode::busy, "is in use: {} listens on it", describe_process(listener ? *listener : 0));
  }
  auto socket = FrontEnd::listen(path);
  if (!socket) return socket.error();
  return ListeningSocket(path, *std::move(socket));
}

ListeningSocket::~ListeningSocket() {
  if (socket_) ::unlink(path_.c_str());
}

// Non-blocking by poll: who connected and left again is still there to be accepted.
UniqueFd ListeningSocket::accept() const { return UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

}  // namespace vhostx::tools::probe
