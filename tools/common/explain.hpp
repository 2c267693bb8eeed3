// SPDX-License-Identifier: BSD-3-Clause
// Why CLI11 refused a command line, in our words.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace vhostx::tools {

/// After App::parse() of these words has thrown. `about_unknown` is LineExtras'.
std::string explain_refusal(const CLI::App& app, const std::vector<std::string>& words,
                            const std::function<std::string(std::string_view)>& about_unknown);

/// What CLI11 takes and nobody means: "--json" as the value of "--port" in "--port --json", and "--json=yes". Empty: no
/// such thing stands there.
std::string explain_swallowed(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace vhostx::tools
