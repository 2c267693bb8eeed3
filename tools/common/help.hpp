// SPDX-License-Identifier: BSD-3-Clause
// The text of --help: the same one whatever CLI11's version is.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace vhostx::tools {

/// Gives the command, and the subcommands that are added to it later, this text. usage: what follows the program's
/// name; empty: CLI11's own words. Call it before anything is added.
void set_help(CLI::App& app, std::string usage = {});

}  // namespace vhostx::tools
