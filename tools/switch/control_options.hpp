// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-switch ctl.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "tools/common/program.hpp"
#include "tools/switch/control_request.hpp"

namespace vhostx::tools {

inline constexpr const char* control_path_default = "/run/vhostx/control.sock";

struct ControlOptions {
  std::string path = control_path_default;
  bool json = false;
  ControlRequest request;
};

/// Pure. `arguments`: what follows "ctl".
std::variant<ControlOptions, EarlyExit> parse_control_options(const std::vector<std::string>& arguments);

}  // namespace vhostx::tools
