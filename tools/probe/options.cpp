// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/options.hpp"

#include <CLI/CLI.hpp>

namespace vhostx::tools::probe {
namespace {

constexpr const char* description = R"(vhostx-probe: what a vhost-user socket says.

Needs no DPDK, no huge pages, and no root where the socket needs none.)";

constexpr const char* footer = R"(
`vhostx-probe COMMAND --help` has each command's options and examples.

Exit codes: 0 as asked; 1 the peer could not be reached or broke the specification, a check failed, or a file could not be
read or written; 2 wrong command line; 3 another front-end is connected, and --force was not given.)";

/// Options of all subcommands, and which of them was given.
struct Commands {
  explicit Commands(CLI::App& app)
      : query_app(add_query_command(app, query)), rings_app(add_rings_command(app, rings)) {}

  Options given() const {
    if (rings_app->parsed()) return rings;
    return query;
  }

  QueryOptions query;
  RingsOptions rings;
  CLI::App* query_app;
  CLI::App* rings_app;
};

}  // namespace

std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments) {
  CLI::App app{description, "vhostx-probe"};
  app.footer(footer);
  app.set_version_flag("--version", std::string("vhostx-probe " VHOSTX_VERSION));
  app.require_subcommand(1);
  const Commands commands(app);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    return EarlyExit{0, app.get_subcommands().empty() ? app.help() : app.get_subcommands().front()->help()};
  } catch (const CLI::CallForVersion& version) {
    return EarlyExit{0, std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    return EarlyExit{2, std::string("vhostx-probe: ") + error.what() + "\n"};
  }
  return commands.given();
}

}  // namespace vhostx::tools::probe
