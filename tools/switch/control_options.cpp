// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-switch ctl: a row for each command.
#include "tools/switch/control_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/common/command_line.hpp"
#include "tools/common/help.hpp"
#include "tools/switch/log_level.hpp"
#include "tools/switch/port_spec.hpp"

namespace vhostx::tools {
namespace {

struct Subcommand {
  ControlCommand command;
  const char* help;
  const char* argument = nullptr;  ///< Its name; null: the command has none.
  const char* argument_help = nullptr;
  bool required = false;
};
constexpr Subcommand subcommands[]{
    {ControlCommand::ports, "List the ports: state, queue pairs, learned addresses, packets, drops"},
    {ControlCommand::add_port, "Add a port", "SPEC", "PATH[,KEY=VALUE]..., as after --port", true},
    {ControlCommand::remove_port, "Remove a port: its guest is disconnected", "PORT", "Its socket path", true},
    {ControlCommand::disconnect, "End a front-end's connection; the port stays, and the next one is served", "PORT",
     "Its socket path", true},
    {ControlCommand::addresses, "List the learned MAC addresses", "PORT", "Only those behind this port"},
    {ControlCommand::flush_addresses, "Forget the learned MAC addresses", "PORT", "Only those behind this port"},
    {ControlCommand::events, "Print events as they come, until interrupted"},
    {ControlCommand::log_level, "Show the level of the log on standard error, or set it", "LEVEL",
     "debug, info, warning or error"},
    {ControlCommand::stats, "Print the statistics; --json has all counters, as the switch's --stats --json"}};

void declare_commands(CLI::App& app, ControlOptions& options) {
  app.add_option("--control", options.path, fmt::format("The switch's control socket ({})", control_path_default))
      ->type_name("PATH");
  app.add_flag("--json", options.json, "Print JSON: the result, or one object a line for events");
  for (const auto& row : subcommands) {
    auto* command = app.add_subcommand(to_string(row.command), row.help);
    command->fallthrough();
    command->callback([&options, &row] { options.request.command = row.command; });
    if (row.argument == nullptr) continue;
    auto* argument = command->add_option(row.argument, options.request.argument, row.argument_help);
    argument->type_name("TEXT");
    if (row.required) argument->required();
  }
}

/// What can be said without the switch is said without it.
Result<void> check_request(const ControlOptions& options) {
  if (options.path.empty() || options.path.size() > socket_path_max)
    return Error{ErrorCode::invalid_argument,
                 fmt::format("--control '{}': expected a path of 1 to {} bytes", options.path, socket_path_max), 0};
  if (request_line(options.request).size() >= request_bytes_max)
    return Error{ErrorCode::limit, fmt::format("a request of more than {} bytes", request_bytes_max), 0};
  const auto& argument = options.request.argument;
  if (options.request.command == ControlCommand::add_port) {
    if (const auto port = parse_port(argument); !port) return port.error();
  } else if (options.request.command == ControlCommand::log_level && !argument.empty()) {
    if (const auto level = parse_log_level(argument); !level) return level.error();
  }
  return {};
}

}  // namespace

std::variant<ControlOptions, EarlyExit> parse_control_options(const std::vector<std::string>& arguments) {
  ControlOptions options;
  CLI::App app{"Commands for a vhostx-switch that runs with --control PATH", "vhostx-switch ctl"};
  set_help(app);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 done, 1 refused or no switch there, 2 the command line was wrong.\n"
      "vhostx-switch ctl COMMAND --help: the arguments of a command.\n");
  declare_commands(app, options);
  if (const auto exit = parse_command_line(app, arguments)) return *exit;
  if (const auto checked = check_request(options); !checked) return refused(app, checked.error().message);
  return options;
}

}  // namespace vhostx::tools
