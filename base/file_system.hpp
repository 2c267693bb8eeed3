// SPDX-License-Identifier: BSD-3-Clause
// Files that lie where somebody may let us wait: a network or user-space file system (NFS, FUSE, 9p), whose owner
// decides when fstat() or a page fault returns. (When close() returns nobody knows: base/releases.hpp.)
#pragma once

#include <string_view>

namespace vhostx {

/// False: `fd` is a regular file, and not known to lie on a local file system. Asks no file system: what counts is
/// what the kernel knows by itself (fcntl, statx without synchronising, mountinfo).
bool answers_at_once(int fd) noexcept;

/// Whether files of `type`, as /proc/self/mountinfo names it, are the kernel's own matter.
bool is_local_file_system(std::string_view type) noexcept;

}  // namespace vhostx
