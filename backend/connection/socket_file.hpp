// SPDX-License-Identifier: BSD-3-Clause
// The file of a listening AF_UNIX socket: what may be at its path before, and who may connect to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

#include <vhostx/result.hpp>

#include "base/releases.hpp"

namespace vhostx::backend {

/// Which file it is, whatever happens to the path.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const FileId&) const = default;
};

/// What is at `path` itself: links are not followed. None: nothing, or it cannot be seen.
std::optional<FileId> file_at(const std::string& path) noexcept;

/// Which file an open descriptor is of. None: the descriptor is of none.
std::optional<FileId> file_of(int descriptor) noexcept;

/// Removes the file of a socket on which nobody listens any more. Errors: busy (somebody listens, and who; or it is no
/// socket), system. `releases` closes the socket that is tried, see make_unix_socket().
Result<void> remove_stale_socket(const std::string& path, Releases* releases = nullptr);

/// Who may connect. What is not given stays as bind() and the umask made it.
struct SocketAccess {
  std::optional<std::uint32_t> mode;   ///< Permission bits, up to 0777.
  std::optional<std::uint32_t> group;  ///< Its number.
};

/// Between socket() and bind(): keeps the file from being more open than it will be. Error: system.
Result<void> restrict_before_bind(int socket, const SocketAccess& access);
/// Between bind() and listen(): nobody can connect yet. Touches only a socket of this process's user that is at `path`
/// itself: a link that somebody has put there is not followed. Errors: system, busy (something else is there).
Result<void> set_access(const std::string& path, const SocketAccess& access);

}  // namespace vhostx::backend
