// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/completion.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "tools/common/line_walk.hpp"
#include "tools/common/values.hpp"

namespace vhostx::tools {
namespace {

constexpr const char* files = "//files\n";

std::string lines_of(const std::vector<std::string>& words, std::string_view typed, std::string_view before = {}) {
  std::string lines;
  for (const auto& word : words)
    if (word.starts_with(typed)) lines += std::string(before) + word + '\n';
  return lines;
}

/// Of values that are free: numbers and names have no completion.
bool is_free(std::string_view type) {
  constexpr std::string_view free[]{"N", "S", "MS", "PID", "PPS", "N,...", "NAME", "TEXT", "GLOB"};
  return std::find(std::begin(free), std::end(free), type) != std::end(free);
}

std::string values_of(const CLI::Option& option, std::string_view typed, std::string_view before,
                      const std::map<std::string, Completer>& completers) {
  if (const auto own = completers.find(option.get_name()); own != completers.end()) {
    const auto words = own->second(typed);
    return words ? lines_of(*words, typed, before) : files;
  }
  if (const auto words = words_of_type(option.get_type_name()); !words.empty()) return lines_of(words, typed, before);
  return option.nonpositional() && is_free(option.get_type_name()) ? std::string{} : files;
}

std::string words_at(const CLI::App& command, const std::string& typed,
                     const std::map<std::string, Completer>& completers) {
  const auto commands = command_names(command);
  const auto own = positionals(command);
  if (typed.starts_with('-') || (commands.empty() && own.empty())) return lines_of(option_names(command), typed);
  if (!own.empty()) return values_of(*own.front(), typed, {}, completers);
  auto words = commands;
  const auto options = option_names(command);
  if (typed.empty()) words.insert(words.end(), options.begin(), options.end());
  return lines_of(words, typed);
}

}  // namespace

std::string complete(const CLI::App& app, std::vector<std::string> words,
                     const std::map<std::string, Completer>& completers) {
  const auto typed = words.empty() ? std::string{} : words.back();
  if (!words.empty()) words.pop_back();
  const auto line = walk(app, words);
  const CLI::App* command = &app;
  for (const auto& at : line)
    if (at.kind == LineWord::Kind::command) command = command == at.command ? app.get_subcommand(at.word) : command;
  if (!line.empty() && line.back().needs_value && line.back().follows.empty())
    return values_of(*line.back().option, typed, {}, completers);
  const auto equals = typed.find('=');
  if (typed.starts_with("--") && equals != std::string::npos) {
    const auto* const option = find_option(*command, typed.substr(0, equals));
    if (option == nullptr || !takes_value(*option)) return {};
    return values_of(*option, std::string_view(typed).substr(equals + 1), typed.substr(0, equals + 1), completers);
  }
  return words_at(*command, typed, completers);
}

}  // namespace vhostx::tools
