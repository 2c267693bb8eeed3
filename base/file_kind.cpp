// SPDX-License-Identifier: BSD-3-Clause
#include "base/file_kind.hpp"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

#include <sys/stat.h>

namespace vhostx {
namespace {

// eventfd, epoll, timerfd and the like share the anonymous inode; only the link's text tells them apart.
FileKind anonymous_kind(int fd) noexcept {
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", fd);
  std::array<char, 64> target{};
  const ssize_t length = ::readlink(path.data(), target.data(), target.size());
  if (length <= 0) return FileKind::other;
  const std::string_view name(target.data(), static_cast<std::size_t>(length));
  return name == "anon_inode:[eventfd]" ? FileKind::event_fd : FileKind::other;
}

}  // namespace

FileKind file_kind(int fd) noexcept {
  struct statx status {};
  // Only what the kernel has cached: the owner of a peer's file system may delay every answer.
  constexpr int ask_nobody = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (fd < 0 || ::statx(fd, "", ask_nobody, STATX_TYPE, &status) != 0) return FileKind::closed;
  switch (status.stx_mode & S_IFMT) {
    case S_IFREG:
      return FileKind::regular;
    case S_IFDIR:
      return FileKind::directory;
    case S_IFCHR:
      return FileKind::character_device;
    case S_IFBLK:
      return FileKind::block_device;
    case S_IFIFO:
      return FileKind::pipe;
    case S_IFSOCK:
      return FileKind::socket;
    default:
      return anonymous_kind(fd);
  }
}

const char* to_string(FileKind kind) noexcept {
  switch (kind) {
    case FileKind::closed:
      return "closed descriptor";
    case FileKind::regular:
      return "regular file";
    case FileKind::directory:
      return "directory";
    case FileKind::character_device:
      return "character device";
    case FileKind::block_device:
      return "block device";
    case FileKind::pipe:
      return "pipe";
    case FileKind::socket:
      return "socket";
    case FileKind::event_fd:
      return "eventfd";
    case FileKind::other:
      return "descriptor of another kind";
  }
  return "descriptor of an unknown kind";
}

}  // namespace vhostx
