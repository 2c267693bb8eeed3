// SPDX-License-Identifier: BSD-3-Clause
// Ports of another process that runs on vhostx: the notices that the library keeps for us (base/port_notice.hpp).
// Reading them is a trust boundary: the process may be any, and may have any mapping of that name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/probe/rings/guest_memory.hpp"
#include "tools/probe/rings/ring_facts.hpp"

namespace vhostx::tools::probe {

struct NoticedPort {
  std::uint64_t address = 0;  ///< Of its notice, in the process: stays for the port's life.
  std::string socket_path;
  bool connected = false;
  int front_end_pid = 0;  ///< 0: not known.
  /// Features and rings; ring addresses are the process's own. Rings that nobody has configured are left out.
  ConnectionFacts facts;
  std::uint64_t log_address = 0;  ///< Of facts.log's first byte, in the process.
};

inline constexpr std::size_t noticed_ports_max = 1024;

/// Those of process `pid`, in any order, read through `memory`, its memory. What is no notice of a version that we know
/// is left out. Error: system (the process does not exist, or may not be looked into).
Result<std::vector<NoticedPort>> read_port_notices(int pid, const GuestMemory& memory);

}  // namespace vhostx::tools::probe
