// SPDX-License-Identifier: BSD-3-Clause
// Reads the words of a command line as CLI11 does, without taking them: for messages and completion.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace vhostx::tools {

/// What stands at a place of the line. `command` is the program or one of its commands, whose words are read there.
struct LineWord {
  enum class Kind { option, command, positional, unknown_option, unexpected };
  Kind kind = Kind::unexpected;
  const CLI::App* command = nullptr;
  const CLI::Option* option = nullptr;  ///< Of an option or positional.
  std::string word;
  std::string name;          ///< Of an option: as it was written, without a value.
  bool needs_value = false;  ///< Of an option that has none yet: "--port" with nothing behind it, or with an option.
  std::string follows;       ///< That option.
  bool bad_value = false;    ///< Of a flag that was given a value: "--json=yes".
};

/// Each word but options' own values; `end` gets the command that a further word would belong to.
std::vector<LineWord> walk(const CLI::App& app, const std::vector<std::string>& words);

/// The option of that command, or of the one that it falls through to, by a name as it is written: "--stats", "-h".
/// Null: there is none of that name.
const CLI::Option* find_option(const CLI::App& command, const std::string& name);

/// Names of the options of a command, as they are written, without those that are hidden.
std::vector<std::string> option_names(const CLI::App& command);

std::vector<std::string> command_names(const CLI::App& app);

/// Its own and those of its groups, in order.
std::vector<const CLI::Option*> positionals(const CLI::App& command);

bool takes_value(const CLI::Option& option);

/// More than one word or time may be given.
bool may_repeat(const CLI::Option& option);

}  // namespace vhostx::tools
