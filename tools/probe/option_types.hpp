// SPDX-License-Identifier: BSD-3-Clause
// Kinds of options that several subcommands have.
#pragma once

#include <chrono>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace vhostx::tools::probe {

/// An option in seconds with a fraction, 0.01 to 3600. `value`, which must live as long as the App, keeps what it has
/// where the option is not given.
CLI::Option* add_seconds_option(CLI::App& app, const std::string& name, std::chrono::milliseconds& value,
                                const std::string& description);

}  // namespace vhostx::tools::probe
