// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-keeper.
#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "tools/common/program.hpp"

namespace vhostx::tools::keeper {

struct Options {
  std::string path;
  std::chrono::milliseconds grace{60000};
  bool json = false;
};

/// Pure: the same arguments (without the program's name) give the same answer.
std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments);

}  // namespace vhostx::tools::keeper
