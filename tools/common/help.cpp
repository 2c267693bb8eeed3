// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/help.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#if CLI11_VERSION_MAJOR > 2 || CLI11_VERSION_MINOR >= 5
#define VHOSTX_CLI11_LAYS_OUT
#endif

namespace vhostx::tools {
namespace {

constexpr std::size_t text_column = 30;
constexpr std::size_t line_length_max = 100;

/// CLI11 shows a flag that switches something off as "--no-tables{false}".
std::string without_braces(std::string names) {
  for (auto begin = names.find('{'); begin != std::string::npos; begin = names.find('{'))
    names.erase(begin, names.find('}', begin) - begin + 1);
  return names;
}

/// From 2.5 on CLI11 breaks lines, also in texts that have their own, and has other words for headings and usage. So
/// rows, headings and the usage line are ours.
class Help : public CLI::Formatter {
 public:
  explicit Help(std::string usage) : usage_(std::move(usage)) {
    column_width(text_column);
#ifdef VHOSTX_CLI11_LAYS_OUT
    enable_description_formatting(false);
    enable_footer_formatting(false);
    right_column_width(SIZE_MAX);
#endif
  }

  std::string make_description(const CLI::App* app) const override {
    return app->get_name().empty() ? std::string{} : app->get_description() + '\n';  // a group has no text
  }

  std::string make_usage(const CLI::App* app, std::string) const override {
    const auto name = command_name(*app);
    if (app->get_parent() == nullptr && !usage_.empty()) return fmt::format("Usage: {} {}\n", name, usage_);
    std::string usage = "Usage: " + name + " [options]";
    for (const auto* option : app->get_options({}))
      if (option->get_positional()) usage += ' ' + make_option_usage(option);
    if (!commands_of(*app).empty()) usage += app->get_require_subcommand_min() == 0 ? " [COMMAND]" : " COMMAND";
    return usage + '\n';
  }

  std::string make_group(std::string group, bool is_positional, std::vector<const CLI::Option*> opts) const override {
    return CLI::Formatter::make_group(small(std::move(group)), is_positional, std::move(opts));
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    const auto name = make_option_name(option, is_positional) + (is_positional ? "" : make_option_opts(option));
    return help_row(name, option->get_description()) + '\n';
  }

  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    return without_braces(CLI::Formatter::make_option_name(option, is_positional));
  }

  /// Types and rules are in the description, in words.
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_items_expected_max() == 0 ? std::string{} : ' ' + option->get_type_name();
  }

  std::string make_option_usage(const CLI::Option* option) const override {
    return option->get_required() ? option->get_name() : '[' + option->get_name() + ']';
  }

  std::string make_subcommand(const CLI::App* command) const override {
    return help_row(command->get_name(), command->get_description()) + '\n';
  }

  /// Groups are Apps without a name: their options are shown as rows of the command that they belong to.
  std::string make_subcommands(const CLI::App* app, CLI::AppFormatMode) const override {
    std::string text;
    for (const auto* group : app->get_subcommands([](const CLI::App* one) { return one->get_name().empty(); })) {
      text += '\n' + group->get_group() + ":\n";
      for (const auto* option : group->get_options({}))
        if (option != group->get_help_ptr()) text += make_option(option, option->get_positional());
    }
    const auto commands = commands_of(*app);
    if (!commands.empty()) text += "\nSubcommands:\n";
    for (const auto* command : commands) text += make_subcommand(command);
    return text;
  }

 private:
  static std::string small(std::string heading) {
    return heading == "OPTIONS"                                   ? "Options"
           : heading == "POSITIONALS" || heading == "Positionals" ? "Arguments"
                                                                  : heading;
  }

  static std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App* one) { return !one->get_name().empty(); });
  }

  std::string usage_;
};

}  // namespace

std::string command_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : command_name(*app.get_parent()) + ' ' + app.get_name();
}

void set_help(CLI::App& app, std::string usage) {
  app.formatter(std::make_shared<Help>(std::move(usage)));
  app.set_help_flag("-h,--help", "Print this help and exit");
}

void set_version(CLI::App& app, std::string_view version) {
  app.set_version_flag("--version", fmt::format("{} {}", app.get_name(), version), "Print the version and exit");
}

std::string help_row(std::string_view name, std::string_view text) {
  std::string row = fmt::format("  {}", name);
  if (row.size() + 2 > text_column)
    row += '\n' + std::string(text_column, ' ');
  else
    row.resize(text_column, ' ');
  std::size_t length = text_column;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    // A line that began with "-" would look like another option.
    const bool breaks = length + 1 + end > line_length_max && text.front() != '-' && length != text_column;
    if (breaks) row += '\n' + std::string(text_column, ' ');
    if (breaks) length = text_column;
    if (length != text_column) row += ' ';
    row += text.substr(0, end);
    length += end + (length != text_column ? 1 : 0);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return row;
}

}  // namespace vhostx::tools
