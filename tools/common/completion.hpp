// SPDX-License-Identifier: BSD-3-Clause
// What a shell's completion asks the program itself, so that it knows what the program knows.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/common/command_line.hpp"

namespace vhostx::tools {

/// The program's hidden first word: what follows are the words of the line, the last the one to be completed.
inline constexpr const char* complete_option = "--complete";

/// Words that may stand in the last one's place, a line each. "//files" alone: names of files may.
std::string complete(const CLI::App& app, std::vector<std::string> words,
                     const std::map<std::string, Completer>& completers);

}  // namespace vhostx::tools
