// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "continuity/keeper_client.hpp"
#include "tools/probe/exit_code.hpp"
#include "tools/probe/keeper/keeper_options.hpp"
#include "tools/probe/keeper/keeper_report.hpp"
#include "tools/probe/option_types.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* keeper_help = "Shows what a vhostx-keeper holds, and which processes own it";

constexpr const char* keeper_footer = R"(
Examples:
  vhostx-probe keeper /run/vhostx-keeper/keeper.sock
  vhostx-probe keeper /tmp/keeper.sock --json | jq '.bundles[].name')";

std::string why_not_reached(const Error& error) {
  if (error.system_errno == EACCES)
    return "the keeper's socket may not be opened: Permission denied (its clients are root and its own user)";
  if (error.code != ErrorCode::system) return error.message;
  return "no keeper listens there: " + std::generic_category().message(error.system_errno);
}

}  // namespace

CLI::App* add_keeper_command(CLI::App& app, KeeperOptions& options) {
  CLI::App* const keeper = app.add_subcommand("keeper", keeper_help);
  keeper->footer(keeper_footer);
  keeper->add_option("SOCK", options.path, "The keeper's Unix socket")->required();
  add_seconds_option(*keeper, "--timeout", options.timeout, "Seconds to wait for each reply (5)");
  keeper->add_flag("--json", options.json,
                   "Prints one JSON object instead of text; tools/probe/README.md lists its keys");
  return keeper;
}

int run_keeper(const KeeperOptions& options) {
  auto client = continuity::KeeperClient::connect(options.path, options.timeout);
  if (!client) return fail(options.path, why_not_reached(client.error()));
  auto bundles = client->list();
  if (!bundles) return fail(options.path, bundles.error().message);
  std::vector<KeptPort> ports;
  for (auto& bundle : *bundles) ports.push_back(look_at(*client, std::move(bundle)));
  return print(options.json ? json_of(options.path, ports) : text_of(options.path, ports));
}

}  // namespace vhostx::tools::probe
