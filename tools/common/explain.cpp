// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/explain.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/common/line_walk.hpp"
#include "tools/common/nearest.hpp"
#include "tools/common/values.hpp"

namespace vhostx::tools {
namespace {

/// "--listen SOCK", or "SOCK" of a positional.
std::string written(const CLI::Option& option) {
  const auto name = option.get_name();
  return option.nonpositional() && takes_value(option) ? name + ' ' + option.get_type_name() : name;
}

std::string missing_value(const LineWord& at) {
  const auto follows = at.follows.empty() ? at.follows : fmt::format(" before '{}'", at.follows);
  return fmt::format("{} has no value{}: expected {}", at.name, follows, written(*at.option));
}

/// The commands that have such an option: it stands before them.
std::vector<std::string> commands_with(const CLI::App& app, const std::string& option) {
  std::vector<std::string> names;
  for (const auto* sub : app.get_subcommands([](const CLI::App* one) { return !one->get_name().empty(); }))
    if (find_option(*sub, option) != nullptr) names.push_back(sub->get_name());
  return names;
}

std::string unknown_option(const LineWord& at, const std::function<std::string(std::string_view)>& about_unknown) {
  if (about_unknown)
    if (const auto more = about_unknown(at.word); !more.empty())
      return fmt::format("unknown option '{}'{}", at.name, more);
  if (!commands_with(*at.command, at.name).empty())
    return fmt::format("'{}' stands before the command: expected {} COMMAND ... {}", at.name, at.command->get_name(),
                       at.name);
  return fmt::format("unknown option '{}'{}", at.name, did_you_mean(at.name, option_names(*at.command)));
}

std::string unexpected_word(const LineWord& at) {
  const auto& command = *at.command;
  if (const auto commands = command_names(command); !commands.empty()) {
    const auto best = did_you_mean(at.word, commands);
    return fmt::format("unknown command '{}'{}", at.word, best.empty() ? ": expected " + listed(commands) : best);
  }
  auto known = option_names(command);
  const auto best = did_you_mean("--" + at.word, known);
  if (!best.empty()) return fmt::format("unexpected word '{}'{}", at.word, best);
  std::string expected = "only options, which begin with '--'";
  if (const auto own = positionals(command); !own.empty()) {
    expected = "no more than";
    for (const auto* option : own) expected += ' ' + option->get_name();
  }
  return fmt::format("unexpected word '{}': expected {}", at.word, expected);
}

/// What a word is wrong by itself. Empty: nothing.
std::string wrong_word(const LineWord& at, const std::function<std::string(std::string_view)>& about_unknown) {
  if (at.kind == LineWord::Kind::unknown_option) return unknown_option(at, about_unknown);
  if (at.kind == LineWord::Kind::unexpected) return unexpected_word(at);
  if (at.needs_value) return missing_value(at);
  if (at.bad_value) return fmt::format("'{}': {} takes no value", at.word, at.name);
  return {};
}

std::string too_often(const std::vector<LineWord>& line) {
  std::map<const CLI::Option*, unsigned> counts;
  for (const auto& at : line)
    if (at.kind == LineWord::Kind::option && !may_repeat(*at.option) && ++counts[at.option] == 2)
      return fmt::format("{} is given more than once: expected it once", at.name);
  return {};
}

/// What stands in a command's rules: required, only with, only without.
std::string broken_rule(const CLI::App& command) {
  for (const auto* option : command.get_options({})) {
    if (option->get_required() && option->count() == 0)
      return fmt::format("{} is missing: {}", written(*option), option->get_description());
    if (option->count() == 0) continue;
    for (const auto* other : option->get_needs())
      if (other->count() == 0)
        return fmt::format("{} goes with {} only: expected both", option->get_name(), written(*other));
    for (const auto* other : option->get_excludes())
      if (other->count() != 0)
        return fmt::format("{} and {}: expected one of them", other->get_name(), option->get_name());
  }
  return {};
}

/// A group of options of which one is to be given.
std::string broken_group(const CLI::App& command) {
  for (const auto* group : command.get_subcommands([](const CLI::App* sub) { return sub->get_name().empty(); })) {
    std::vector<std::string> names, given;
    for (const auto* option : group->get_options({})) {
      if (option == group->get_help_ptr()) continue;
      names.push_back(written(*option));
      if (option->count() != 0) given.push_back(option->get_name());
    }
    if (given.empty() && group->get_require_option_min() != 0) return fmt::format("expected {}", listed(names));
    if (given.size() > 1 && group->get_require_option_max() == 1)
      return fmt::format("{}: expected one of them", fmt::join(given, " and "));
  }
  return {};
}

std::string missing_command(const CLI::App& app) {
  if (app.get_require_subcommand_min() == 0 || !app.get_subcommands().empty()) return {};
  return fmt::format("no command: expected {}", listed(command_names(app)));
}

}  // namespace

std::string explain_refusal(const CLI::App& app, const std::vector<std::string>& words,
                            const std::function<std::string(std::string_view)>& about_unknown) {
  const auto line = walk(app, words);
  for (const auto& at : line)
    if (auto wrong = wrong_word(at, about_unknown); !wrong.empty()) return wrong;
  if (auto wrong = too_often(line); !wrong.empty()) return wrong;
  if (auto wrong = missing_command(app); !wrong.empty()) return wrong;
  const auto commands = app.get_subcommands();
  for (const auto* command : {&app, commands.empty() ? &app : static_cast<const CLI::App*>(commands.front())}) {
    if (auto wrong = broken_rule(*command); !wrong.empty()) return wrong;
    if (auto wrong = broken_group(*command); !wrong.empty()) return wrong;
  }
  return "this command line is not understood";
}

std::string explain_swallowed(const CLI::App& app, const std::vector<std::string>& words) {
  for (const auto& at : walk(app, words))
    if (at.kind == LineWord::Kind::option)
      if (auto wrong = wrong_word(at, {}); !wrong.empty()) return wrong;
  return {};
}

}  // namespace vhostx::tools
