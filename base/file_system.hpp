// SPDX-License-Identifier: BSD-3-Clause
// Files that lie where somebody may let us wait: a network or user-space file system (NFS, FUSE, 9p), whose owner
// decides when fstat(), a page fault, and even close() return.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/unique_fd.hpp"

namespace vhostx {

/// False: `fd` is a regular file, and not known to lie on a local file system. Asks no file system: what counts is
/// what the kernel knows by itself (fcntl, statx without synchronising, mountinfo).
bool answers_at_once(int fd) noexcept;

/// Whether files of `type`, as /proc/self/mountinfo names it, are the kernel's own matter.
bool is_local_file_system(std::string_view type) noexcept;

/// Closes a descriptor that does not answer at once, on a thread of its own: close() may wait for ever.
void close_aside(UniqueFd fd) noexcept;

/// How many are being closed so at this moment.
std::size_t closing_aside() noexcept;

}  // namespace vhostx
