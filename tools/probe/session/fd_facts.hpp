// SPDX-License-Identifier: BSD-3-Clause
// What a descriptor is.
#pragma once

#include "tools/probe/session/event.hpp"

namespace vhostx::tools::probe {

/// Asks the kernel; what it does not tell stays empty. Any thread.
FdFacts look_at_fd(int fd);

/// "memfd pc.ram, 256 MiB, pages of 4 KiB, seals shrink grow"; pure.
std::string text_of(const FdFacts& facts);

/// "256 MiB", "4 KiB", "1000 bytes": exact, in the largest unit that leaves no rest.
std::string text_of_bytes(std::uint64_t bytes);

}  // namespace vhostx::tools::probe
