// SPDX-License-Identifier: BSD-3-Clause
// The process's table of descriptors.
#pragma once

#include <algorithm>
#include <fcntl.h>

#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/unique_fd.hpp"

namespace vhostx {

/// Makes room for 4096 descriptors, or as many as the process may have: 40 KiB of the kernel's memory. Where the table
/// of a process with several threads grows later, the kernel waits for a grace period of RCU, and whoever has opened a
/// descriptor waits with it: 5 to 20 ms. Any thread.
inline void make_room_for_descriptors() noexcept {
  constexpr rlim_t most = 4096;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  const UniqueFd any(::eventfd(0, EFD_CLOEXEC));
  const auto last = static_cast<int>(std::min(files.rlim_cur, most)) - 1;
  const UniqueFd high(::fcntl(any.get(), F_DUPFD_CLOEXEC, last));  // the table stays as large
}

}  // namespace vhostx
