// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/command_line.hpp"

#include <fmt/format.h>

#include "tools/common/completion.hpp"
#include "tools/common/explain.hpp"
#include "tools/common/help.hpp"
#include "tools/common/values.hpp"

namespace vhostx::tools {
namespace {

const CLI::App& deepest(const CLI::App& app) {
  const auto commands = app.get_subcommands();  // those that were given
  return commands.empty() ? app : deepest(*commands.front());
}

/// With the command's name where the program has several.
EarlyExit refused_there(const CLI::App& app, std::string_view message) {
  const auto& command = deepest(app);
  const auto name = &command == &app ? std::string{} : command.get_name() + ": ";
  return refused(app, name + std::string(message));
}

}  // namespace

std::optional<EarlyExit> parse_command_line(CLI::App& app, const std::vector<std::string>& arguments,
                                            const LineExtras& extras) {
  if (!arguments.empty() && arguments.front() == complete_option)
    return EarlyExit{0, complete(app, {arguments.begin() + 1, arguments.end()}, extras.completers)};
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them from the end
  } catch (const CLI::CallForHelp&) {
    return EarlyExit{0, deepest(app).help()};
  } catch (const CLI::CallForVersion& version) {
    return EarlyExit{0, std::string(version.what()) + "\n"};
  } catch (const WrongLine& wrong) {
    const auto swallowed = explain_swallowed(app, arguments);
    return refused_there(app, swallowed.empty() ? wrong.what() : swallowed);
  } catch (const CLI::ParseError&) {
    return refused_there(app, explain_refusal(app, arguments, extras.about_unknown));
  }
  if (const auto wrong = explain_swallowed(app, arguments); !wrong.empty()) return refused_there(app, wrong);
  return {};
}

EarlyExit refused(const CLI::App& app, std::string_view message) {
  return {2, fmt::format("{}: {}\nSee {} --help.\n", app.get_name(), message, command_name(deepest(app)))};
}

}  // namespace vhostx::tools
