// SPDX-License-Identifier: BSD-3-Clause
// Detects files on network and user-space file systems (NFS, FUSE, 9p), whose owner decides when fstat() or a page
// fault returns. close() may block on any file system: see base/releases.hpp.
#pragma once

#include <string_view>

namespace vhostx {

/// False: `fd` is a regular file that is not known to be on a local file system. Never blocks on a file system: uses
/// what the kernel has cached (fcntl, statx without synchronising, mountinfo).
bool answers_at_once(int fd) noexcept;

/// Whether the kernel alone serves file systems of `type`, as /proc/self/mountinfo names it.
bool is_local_file_system(std::string_view type) noexcept;

}  // namespace vhostx
