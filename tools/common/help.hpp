// SPDX-License-Identifier: BSD-3-Clause
// The text of --help: the same one whatever CLI11's version is.
#pragma once

#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

namespace vhostx::tools {

/// Gives the command, and the subcommands that are added to it later, this text, and its --help and --version. usage:
/// what follows the program's name; empty: options, positionals and subcommands. Call it before anything is added.
void set_help(CLI::App& app, std::string usage = {});

/// Adds --version, which prints "NAME VERSION".
void set_version(CLI::App& app, std::string_view version);

/// "vhostx-probe trace": the command with those that it belongs to.
std::string command_name(const CLI::App& app);

/// "  NAME   text", with the text in a column of its own, in lines of at most 100 letters.
std::string help_row(std::string_view name, std::string_view text);

}  // namespace vhostx::tools
