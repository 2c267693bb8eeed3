// SPDX-License-Identifier: BSD-3-Clause
// Parsing with CLI11, refusing in our own words: the same ones whatever its version is.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/common/program.hpp"

namespace vhostx::tools {

/// Values that may complete what is typed; nothing: names of files.
using Completer = std::function<std::optional<std::vector<std::string>>(std::string_view typed)>;

/// What a program adds to the words of the parser.
struct LineExtras {
  /// More about an option that the program does not have: ": put it ..."; empty: nothing.
  std::function<std::string(std::string_view word)> about_unknown;
  /// By the name of an option ("--features") or positional ("WORDS"): for values that its type name does not list.
  std::map<std::string, Completer> completers;
};

/// Parses the arguments (without the program's name) into what the App's options refer to. Nothing: they are good.
/// Otherwise --help, --version, what the shell's completion asked for (--complete WORD...), or exit code 2 with a
/// message of two lines: what is wrong and what was expected, and which --help has more.
std::optional<EarlyExit> parse_command_line(CLI::App& app, const std::vector<std::string>& arguments,
                                            const LineExtras& extras = {});

/// The two lines for what a program finds wrong itself. `app` is the one that was parsed.
EarlyExit refused(const CLI::App& app, std::string_view message);

}  // namespace vhostx::tools
