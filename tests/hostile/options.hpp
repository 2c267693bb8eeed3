// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "tools/common/program.hpp"

namespace vhostx::hostile {

struct Options {
  std::string program;       ///< vhostx-switch, or one that says of itself what it says.
  bool others_only = false;  ///< What becomes of the attacker is not judged: the program does not tell why.
  std::string group;         ///< Empty: all.
  std::string only;          ///< "group.name", with * and ?; empty: all.
  bool list = false;
  bool one_process = false;
  unsigned share = 1;      ///< In one process: the first of so many parts, in that order.
  std::uint64_t seed = 0;  ///< Of the order in one process; 0: a new one.
  unsigned repeat = 1;
  unsigned jobs = 2;  ///< Back-ends at a time, where each attack has one of its own.
};

std::variant<Options, tools::EarlyExit> parse_options(const std::vector<std::string>& words);

}  // namespace vhostx::hostile
