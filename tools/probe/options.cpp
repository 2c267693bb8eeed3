// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/options.hpp"

#include <algorithm>
#include <functional>

#include <CLI/CLI.hpp>

#include "tools/common/command_line.hpp"
#include "tools/common/help.hpp"
#include "tools/probe/completers.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* description = R"(Looks into vhost-user sockets.

It needs no DPDK and no huge pages. It needs root only where the socket does.)";

constexpr const char* footer = R"(
`vhostx-probe COMMAND --help` has the options and examples of a command.

Exit codes: 0 success; 1 the peer could not be reached or broke the specification, a check failed, or a file could not be
read or written; 2 wrong command line; 3 another front-end is connected, and --force was not given.)";

/// Options of all subcommands, and which of them was given. Lives as long as the App.
class Commands {
 public:
  explicit Commands(CLI::App& app) {
    add(app, add_query_command, query_);
    add(app, add_features_command, features_);
    add(app, add_listen_command, listen_);
    add(app, add_trace_command, trace_);
    add(app, add_show_command, show_);
    add(app, add_report_command, report_);
    add(app, add_rings_command, rings_);
    add(app, add_keeper_command, keeper_);
    add(app, add_check_command, check_);
  }
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  Options given() const {
    const auto at =
        std::find_if(commands_.begin(), commands_.end(), [](const auto& command) { return command.app->parsed(); });
    return at->options();  // one is required
  }

 private:
  struct Command {
    const CLI::App* app;
    std::function<Options()> options;
  };

  template <typename T>
  void add(CLI::App& app, CLI::App* (*add_command)(CLI::App&, T&), T& options) {
    commands_.push_back({add_command(app, options), [&options] { return Options(options); }});
  }

  QueryOptions query_;
  FeaturesOptions features_;
  ListenOptions listen_;
  TraceOptions trace_;
  RecordShowOptions show_;
  ReportOptions report_;
  RingsOptions rings_;
  KeeperOptions keeper_;
  CheckOptions check_;
  std::vector<Command> commands_;
};

}  // namespace

std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments) {
  CLI::App app{description, "vhostx-probe"};
  set_help(app);
  app.footer(footer);
  set_version(app, VHOSTX_VERSION);
  app.require_subcommand(1);
  const Commands commands(app);
  if (const auto exit = parse_command_line(app, arguments, {{}, completers()})) return *exit;
  return commands.given();
}

}  // namespace vhostx::tools::probe
