// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/help.hpp"

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#if CLI11_VERSION_MAJOR > 2 || CLI11_VERSION_MINOR >= 5
#define VHOSTX_CLI11_LAYS_OUT
#endif

namespace vhostx::tools {
namespace {

/// From 2.5 on CLI11 breaks lines, also in texts that have their own, and has other words for headings and usage.
class Help : public CLI::Formatter {
 public:
  explicit Help(std::string usage) : usage_(std::move(usage)) {
#ifdef VHOSTX_CLI11_LAYS_OUT
    enable_description_formatting(false);
    enable_footer_formatting(false);
    right_column_width(SIZE_MAX);
#endif
  }

  std::string make_description(const CLI::App* app) const override {
    auto text = CLI::Formatter::make_description(app);
#ifdef VHOSTX_CLI11_LAYS_OUT
    text.erase(text.find_last_not_of('\n') + 1);
#endif
    return text;
  }

  std::string make_usage(const CLI::App* app, std::string name) const override {
    const auto theirs = CLI::Formatter::make_usage(app, name);
    const auto at = theirs.find(name);
    const auto end = theirs.find('\n', at);
    return "Usage: " + (usage_.empty() ? theirs.substr(at, end - at) : name + ' ' + usage_) + '\n';
  }

  std::string make_group(std::string group, bool is_positional, std::vector<const CLI::Option*> opts) const override {
    return CLI::Formatter::make_group(small(std::move(group)), is_positional, std::move(opts));
  }

  std::string make_subcommands(const CLI::App* app, CLI::AppFormatMode mode) const override {
    auto text = CLI::Formatter::make_subcommands(app, mode);
    const std::string_view theirs = "\nSUBCOMMANDS:\n";
    if (text.starts_with(theirs)) text.replace(0, theirs.size(), "\nSubcommands:\n");
    return text;
  }

 private:
  static std::string small(std::string heading) {
    return heading == "OPTIONS" ? "Options" : heading == "POSITIONALS" ? "Positionals" : heading;
  }

  std::string usage_;
};

}  // namespace

void set_help(CLI::App& app, std::string usage) { app.formatter(std::make_shared<Help>(std::move(usage))); }

}  // namespace vhostx::tools
