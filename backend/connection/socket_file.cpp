// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/socket_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "backend/connection/unix_socket.hpp"
#include "base/error.hpp"
#include "base/peer_process.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::backend {
namespace {

constexpr std::uint32_t owner_bits = 0700;

Result<void> check_own_socket(int file, const std::string& path) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return make_system_error(errno, "'{}'", path);
  if (S_ISSOCK(status.st_mode) && status.st_uid == ::geteuid()) return {};
  return make_error(ErrorCode::busy, "'{}' is not the socket that was just made: somebody else has replaced it", path);
}

}  // namespace

std::optional<FileId> file_at(const std::string& path) noexcept {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  return FileId{status.st_dev, status.st_ino};
}

std::optional<FileId> file_of(int descriptor) noexcept {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return {};
  return FileId{status.st_dev, status.st_ino};
}

// A process that listens there accepts the connection; a stale file refuses it.
Result<void> remove_stale_socket(const std::string& path, Releases* releases) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return make_system_error(errno, "'{}'", path);
  }
  if (!S_ISSOCK(status.st_mode))
    return make_error(ErrorCode::busy, "'{}' exists and is no socket: it is not replaced", path);
  auto probe = make_unix_socket(releases);
  if (!probe) return std::move(probe).error();
  const int error = connect_unix(probe->get(), path);
  const int listener = error == 0 ? peer_pid(probe->get()) : 0;
  ::shutdown(probe->get(), SHUT_RDWR);  // closed it is later: whoever listens there is to see at once that nobody came
  if (error == 0)
    return make_error(ErrorCode::busy, "'{}' is in use: {} listens on it", path, describe_process(listener));
  if (error == EAGAIN)
    return make_error(ErrorCode::busy, "'{}' is in use: a process listens on it, and its queue of connections is full",
                      path);
  if (error != ECONNREFUSED && error != ENOENT) return make_system_error(error, "the socket '{}' that is there", path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return make_system_error(errno, "removing the stale socket '{}'", path);
  return {};
}

// Linux gives the file the bits of the socket's own inode, less the umask's (net/unix/af_unix.c, unix_bind).
Result<void> restrict_before_bind(int socket, const SocketAccess& access) {
  if (!access.mode || ::fchmod(socket, *access.mode & owner_bits) == 0) return {};
  return make_system_error(errno, "setting the mode {:04o} of a socket", *access.mode);
}

Result<void> set_access(const std::string& path, const SocketAccess& access) {
  if (!access.mode && !access.group) return {};
  const UniqueFd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return make_system_error(errno, "'{}'", path);
  if (auto own = check_own_socket(file.get(), path); !own) return own;
  // The group first: bits meant for it are for nobody else.
  if (access.group && ::fchownat(file.get(), "", static_cast<uid_t>(-1), *access.group, AT_EMPTY_PATH) != 0)
    return make_system_error(errno, "giving '{}' to the group {} (expected one that this process is in, or CAP_CHOWN)",
                             path, *access.group);
  // fchmod() refuses descriptors that were opened with O_PATH; the name in /proc leads to the same file.
  if (access.mode && ::chmod(fmt::format("/proc/self/fd/{}", file.get()).c_str(), *access.mode) != 0)
    return make_system_error(errno, "giving '{}' the mode {:04o}", path, *access.mode);
  return {};
}

}  // namespace vhostx::backend
