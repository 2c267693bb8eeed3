// SPDX-License-Identifier: BSD-3-Clause
// What a received file descriptor really is: peers send pipes, directories and devices where eventfds or memory belong.
#pragma once

#include <cstdint>

namespace vhostx {

enum class FileKind : std::uint8_t {
  closed,
  regular,  // includes memfd and hugetlbfs
  directory,
  character_device,
  block_device,
  pipe,
  socket,
  event_fd,
  other,
};

/// From statx without synchronising, so no file system is asked; for anonymous inodes, from /proc/self/fd.
FileKind file_kind(int fd) noexcept;

/// For messages, e.g. "pipe".
const char* to_string(FileKind kind) noexcept;

}  // namespace vhostx
