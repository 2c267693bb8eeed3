// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/options.hpp"

#include <CLI/CLI.hpp>

namespace vhostx::tools::probe {
namespace {

constexpr const char* description = R"(vhostx-probe: what a vhost-user socket says.

Needs no DPDK, no huge pages, and no root where the socket needs none.)";

constexpr const char* footer = R"(
Examples:
  vhostx-probe query /tmp/vm0.sock
  vhostx-probe query --json /tmp/vm0.sock | jq .protocol_features.names
  vhostx-probe check /tmp/vm0.sock --second /tmp/vm1.sock
  vhostx-probe check --gentle --tap /tmp/vm0.sock

Exit codes: 0 answered, no check failed; 1 the back-end could not be reached, or broke the specification; 2 wrong command line;
3 another front-end is connected, and --force was not given.)";

constexpr const char* query_help =
    "Connects as a front-end, asks the back-end what it offers, and leaves: no memory is shared, no ring is touched";

}  // namespace

std::variant<Command, EarlyExit> parse_options(const std::vector<std::string>& arguments) {
  CLI::App app{description, "vhostx-probe"};
  app.footer(footer);
  app.set_version_flag("--version", std::string("vhostx-probe " VHOSTX_VERSION));
  app.require_subcommand(1);
  QueryOptions options;
  double seconds = 5;
  CLI::App* const query = app.add_subcommand("query", query_help);
  query->add_option("SOCK", options.path, "The back-end's Unix socket")->required();
  query->add_option("--timeout", seconds, "Seconds to wait for each reply (5)")
      ->type_name("S")
      ->check(CLI::Range(0.01, 3600.0));
  query->add_flag("--force", options.force,
                  "Also where another front-end is connected: many back-ends serve one at a time, and some drop it");
  query->add_flag("--json", options.json, "One JSON object instead of text; its keys are in tools/probe/README.md");
  CheckOptions check;
  add_check_command(app, check);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    return EarlyExit{0, app.get_subcommands().empty() ? app.help() : app.get_subcommands().front()->help()};
  } catch (const CLI::CallForVersion& version) {
    return EarlyExit{0, std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    return EarlyExit{2, std::string("vhostx-probe: ") + error.what() + "\n"};
  }
  if (!query->parsed()) return Command(check);
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  return Command(options);
}

}  // namespace vhostx::tools::probe
