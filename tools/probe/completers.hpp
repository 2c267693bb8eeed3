// SPDX-License-Identifier: BSD-3-Clause
// What a shell's completion may put where vhostx-probe expects names.
#pragma once

#include <map>
#include <string>

#include "tools/common/command_line.hpp"

namespace vhostx::tools::probe {

/// Names of features, in lists with commas, and of the groups of checks.
std::map<std::string, Completer> completers();

}  // namespace vhostx::tools::probe
