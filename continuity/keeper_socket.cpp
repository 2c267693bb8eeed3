// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/keeper_socket.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/error.hpp"
#include "base/peer_process.hpp"
#include "continuity/packet_socket.hpp"

namespace vhostx::continuity {
namespace {

constexpr int backlog = 128;
constexpr int lock_tries = 200;
constexpr timespec between_tries{0, 10'000'000};

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Until the descriptor is closed. Whoever else locks a folder (systemd-tmpfiles) does so for a moment.
Result<UniqueFd> lock_folder(const std::string& path) {
  const auto folder = folder_of(path);
  UniqueFd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return make_system_error(errno, "the folder '{}'", folder);
  for (int tries = 0; ::flock(opened.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK && errno != EINTR) return make_system_error(errno, "locking the folder '{}'", folder);
    if (tries == lock_tries)
      return make_error(ErrorCode::busy, "the folder '{}' is locked by another process (flock) for 2 s", folder);
    ::nanosleep(&between_tries, nullptr);
  }
  return opened;
}

Error in_use(int socket, const std::string& path) {
  return make_error(ErrorCode::busy, "'{}' is in use: {} listens on it", path, describe_process(peer_pid(socket)));
}

// A process that listens there accepts the connection, or its queue is full; one that listens with stream sockets is of
// the wrong type (EPROTOTYPE); a stale file refuses.
Result<void> remove_stale(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0)
    return errno == ENOENT ? Result<void>() : Result<void>(make_system_error(errno, "'{}'", path));
  if (!S_ISSOCK(status.st_mode))
    return make_error(ErrorCode::busy, "'{}' exists and is no socket: it is not replaced", path);
  auto probe = make_packet_socket();
  if (!probe) return std::move(probe).error();
  const int error = connect_to_path(probe->get(), path);
  if (error == 0) return in_use(probe->get(), path);
  if (error == EAGAIN || error == EPROTOTYPE)
    return make_error(ErrorCode::busy, "'{}' is in use: a process listens on it that is {}", path,
                      error == EAGAIN ? "busy" : "no keeper");
  if (error != ECONNREFUSED && error != ENOENT) return make_system_error(error, "the socket '{}' that is there", path);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return make_system_error(errno, "removing the stale socket '{}'", path);
}

Result<void> bind_and_listen(int socket, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  // The file gets the bits of the socket's own inode (net/unix/af_unix.c, unix_bind).
  if (::fchmod(socket, 0600) != 0) return make_system_error(errno, "setting the mode of a socket");
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return make_system_error(errno, "making the socket '{}'", path);
  if (::listen(socket, backlog) != 0) return make_system_error(errno, "listening on '{}'", path);
  return {};
}

}  // namespace

Result<KeeperSocket> KeeperSocket::listen(const std::string& path) {
  if (path.empty() || path.size() >= sizeof sockaddr_un{}.sun_path || path.find('\0') != std::string::npos)
    return invalid_argument("the path of a socket has {} bytes, expected 1 to 107, none of them zero", path.size());
  auto lock = lock_folder(path);
  if (!lock) return std::move(lock).error();
  if (auto removed = remove_stale(path); !removed) return std::move(removed).error();
  auto socket = make_packet_socket();
  if (!socket) return std::move(socket).error();
  if (auto listens = bind_and_listen(socket->get(), path); !listens) return std::move(listens).error();
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return make_system_error(errno, "'{}'", path);
  return KeeperSocket(*std::move(socket), path, status.st_dev, status.st_ino);
}

bool KeeperSocket::is_peer_of(int socket) const noexcept {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0 || address.sun_family != AF_UNIX)
    return false;
  const std::size_t bytes = length - offsetof(sockaddr_un, sun_path);
  return ::strnlen(address.sun_path, bytes) == path_.size() &&
         std::memcmp(address.sun_path, path_.data(), path_.size()) == 0 && peer_pid(socket) == ::getpid();
}

KeeperSocket::~KeeperSocket() {
  if (!socket_) return;
  struct stat status {};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
    ::unlink(path_.c_str());
}

}  // namespace vhostx::continuity
