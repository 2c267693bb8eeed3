// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/line_walk.hpp"

#include <algorithm>

namespace vhostx::tools {
namespace {

/// A command's options stand in itself and in its groups, which are Apps without a name.
template <typename Take>
void each_option(const CLI::App& command, const Take& take) {
  for (const auto* option : command.get_options({})) take(*option);
  for (const auto* group : command.get_subcommands([](const CLI::App* sub) { return sub->get_name().empty(); }))
    each_option(*group, take);
}

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* sub) { return sub->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

class Walk {
 public:
  Walk(const CLI::App& app, const std::vector<std::string>& words) : command_(&app), words_(words) {}

  std::vector<LineWord> all() {
    for (; at_ < words_.size(); ++at_) {
      const auto& word = words_[at_];
      if (word == "--" && !only_positionals_)
        only_positionals_ = true;
      else if (word.size() > 1 && word.front() == '-' && !only_positionals_)
        take_option(word);
      else
        take_word(word);
    }
    return std::move(seen_);
  }

 private:
  void take_option(const std::string& word) {
    const auto equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    LineWord seen{LineWord::Kind::option, command_, nullptr, word, word.substr(0, equals), false, {}, false};
    seen.option = find_option(*command_, seen.name);
    if (seen.option == nullptr)
      seen.kind = LineWord::Kind::unknown_option;
    else if (!takes_value(*seen.option))
      seen.bad_value = equals != std::string::npos;
    else if (equals == std::string::npos || equals + 1 == word.size())
      take_value(seen);
    seen_.push_back(std::move(seen));
  }

  /// A value that is the name of an option is none: it was forgotten.
  void take_value(LineWord& seen) {
    seen.needs_value = at_ + 1 == words_.size() || find_option(*command_, words_[at_ + 1]) != nullptr;
    if (!seen.needs_value)
      ++at_;
    else if (at_ + 1 < words_.size())
      seen.follows = words_[at_ + 1];
  }

  void take_word(const std::string& word) {
    LineWord seen{LineWord::Kind::unexpected, command_, nullptr, word, word, false, {}, false};
    if (const auto* const command = find_command(*command_, word); command != nullptr && !only_positionals_) {
      seen.kind = LineWord::Kind::command;
      command_ = command;
      positionals_ = 0;
    } else if (const auto* const option = next_positional(); option != nullptr) {
      seen.kind = LineWord::Kind::positional;
      seen.option = option;
    }
    seen_.push_back(std::move(seen));
  }

  const CLI::Option* next_positional() {
    std::size_t before = 0;
    for (const auto* const option : positionals(*command_)) {
      before += static_cast<std::size_t>(std::max(1, option->get_items_expected_max()));
      if (positionals_ >= before) continue;
      ++positionals_;
      return option;
    }
    return nullptr;
  }

  const CLI::App* command_;
  const std::vector<std::string>& words_;
  std::size_t at_ = 0;
  std::size_t positionals_ = 0;  // of the command, so far
  bool only_positionals_ = false;
  std::vector<LineWord> seen_;
};

}  // namespace

std::vector<LineWord> walk(const CLI::App& app, const std::vector<std::string>& words) {
  return Walk(app, words).all();
}

const CLI::Option* find_option(const CLI::App& command, const std::string& name) {
  if (name.size() < 2 || name.front() != '-') return nullptr;
  const CLI::Option* found = nullptr;
  each_option(command, [&](const CLI::Option& option) {
    if (option.nonpositional() && option.check_name(name)) found = &option;
  });
  const auto* const parent = command.get_parent();
  return found == nullptr && parent != nullptr && command.get_fallthrough() ? find_option(*parent, name) : found;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  if (command.get_parent() != nullptr && command.get_fallthrough()) names = option_names(*command.get_parent());
  each_option(command, [&](const CLI::Option& option) {
    if (option.get_group().empty()) return;
    for (const auto& name : option.get_lnames()) names.push_back("--" + name);
  });
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* sub : app.get_subcommands([](const CLI::App* one) { return !one->get_name().empty(); }))
    names.push_back(sub->get_name());
  return names;
}

std::vector<const CLI::Option*> positionals(const CLI::App& command) {
  std::vector<const CLI::Option*> found;
  each_option(command, [&](const CLI::Option& option) {
    if (option.get_positional()) found.push_back(&option);
  });
  return found;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

bool may_repeat(const CLI::Option& option) { return option.get_items_expected_max() != 1; }

}  // namespace vhostx::tools
