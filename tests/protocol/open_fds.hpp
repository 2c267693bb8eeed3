// SPDX-License-Identifier: BSD-3-Clause
// Counting this process's descriptors, to show that none leaked.
#pragma once

#include <filesystem>
#include <iterator>

#include <sys/eventfd.h>

#include "base/unique_fd.hpp"
#include "tests/support/slow_releases.hpp"

namespace vhostx::test {

/// When what peers left is released.
inline std::ptrdiff_t open_fds() {
  wait_for_releases();
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

inline UniqueFd any_fd() { return UniqueFd(::eventfd(0, EFD_CLOEXEC)); }

}  // namespace vhostx::test
