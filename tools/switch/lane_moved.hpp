// SPDX-License-Identifier: BSD-3-Clause
// LaneMoved: a queue pair is served by another worker, as the reports tell it.
#pragma once

#include <cstdint>
#include <string>

namespace vhostx::tools {

struct LaneMoved {
  double seconds = 0;  ///< Since the switch began, when it was noticed.
  std::string port;
  std::uint16_t pair = 0;
  std::uint16_t from = 0;  ///< Workers.
  std::uint16_t to = 0;
};

}  // namespace vhostx::tools
