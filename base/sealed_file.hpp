// SPDX-License-Identifier: BSD-3-Clause
// Memory files of somebody else's.
#pragma once

#include <cerrno>
#include <cstdint>
#include <fcntl.h>

#include <sys/stat.h>

#include <vhostx/result.hpp>

#include "base/error.hpp"

namespace vhostx {

/// Only a memory file that was made to be sealed can be: whoever made it, nothing that is asked of it waits for them.
inline bool is_sealed_memory(int fd) noexcept {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

/// The size of a memory file, which is sealed against shrinking. `what` begins the errors: protocol_violation (it is
/// not sealed, or something else), system. The seal is looked at first: of other files fstat() may ask a peer.
inline Result<std::uint64_t> sealed_bytes(int fd, const char* what) {
  if (!is_sealed_memory(fd)) return protocol_violation("{} is not sealed against shrinking", what);
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return make_system_error(errno, "{}", what);
  return static_cast<std::uint64_t>(facts.st_size);
}

}  // namespace vhostx
