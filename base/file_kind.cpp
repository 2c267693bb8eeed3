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

constexpr unsigned no_format = ~0U;  // statx() does not say it

struct Kind {
  FileKind kind;
  unsigned format;  // in stx_mode
  const char* name;
};
constexpr Kind kinds[] = {
    {FileKind::closed, no_format, "closed descriptor"},
    {FileKind::regular, S_IFREG, "regular file"},
    {FileKind::directory, S_IFDIR, "directory"},
    {FileKind::character_device, S_IFCHR, "character device"},
    {FileKind::block_device, S_IFBLK, "block device"},
    {FileKind::pipe, S_IFIFO, "pipe"},
    {FileKind::socket, S_IFSOCK, "socket"},
    {FileKind::event_fd, no_format, "eventfd"},
};

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
  for (const Kind& one : kinds)
    if (one.format == (status.stx_mode & S_IFMT)) return one.kind;
  return anonymous_kind(fd);
}

const char* to_string(FileKind kind) noexcept {
  for (const Kind& one : kinds)
    if (one.kind == kind) return one.name;
  return "descriptor of another kind";
}

}  // namespace vhostx
