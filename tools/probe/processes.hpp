// SPDX-License-Identifier: BSD-3-Clause
// Other processes, as /proc shows them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

namespace vhostx::tools::probe {

struct Descriptor {
  int fd = -1;
  std::string target;  ///< What the link says: "/memfd:ram (deleted)", "socket:[4711]".
};

/// Those of a process, ascending. Error: system: it does not exist, or its descriptors are none of ours.
Result<std::vector<Descriptor>> descriptors_of(int pid);

/// As the kernel has it, at most 15 bytes; empty: not known.
std::string program_of(int pid);

/// The process that listens at the Unix socket bound as `path`, just as it was written there; of several the lowest.
/// Error: invalid_argument (nobody listens there), system (/proc), unsupported (no process that we may look into has
/// it).
Result<int> find_listener(const std::string& path);
/// All of them, ascending: with socket activation systemd has the socket too. Not empty. Errors: the same.
Result<std::vector<int>> find_listeners(const std::string& path);

}  // namespace vhostx::tools::probe
