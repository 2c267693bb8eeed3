// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>
#include <system_error>

#include <CLI/CLI.hpp>

#include "tools/probe/exit_code.hpp"
#include "tools/probe/option_types.hpp"
#include "tools/probe/query/query.hpp"
#include "tools/probe/query/query_options.hpp"
#include "tools/probe/query/query_report.hpp"
#include "tools/probe/socket_users.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* query_help =
    "Asks a back-end what it offers. Connects as a front-end, shares no memory, touches no ring";

constexpr const char* query_footer = R"(
Examples:
  vhostx-probe query /tmp/vm0.sock
  vhostx-probe query --json /tmp/vm0.sock | jq .protocol_features.names)";

std::string no_back_end(const Error& error) {
  if (error.code != ErrorCode::system) return error.message;
  return "no back-end listens there: " + std::generic_category().message(error.system_errno);
}

}  // namespace

CLI::App* add_query_command(CLI::App& app, QueryOptions& options) {
  CLI::App* const query = app.add_subcommand("query", query_help);
  query->footer(query_footer);
  query->add_option("SOCK", options.path, "The back-end's Unix socket")->required();
  add_seconds_option(*query, "--timeout", options.timeout, "Seconds to wait for each reply (5)");
  query->add_flag(
      "--force", options.force,
      "Connect even if another front-end is connected. Many back-ends serve one at a time, and some drop the first");
  query->add_flag("--json", options.json,
                  "Prints one JSON object instead of text; tools/probe/README.md lists its keys");
  return query;
}

int run_query(const QueryOptions& options) {
  if (!options.force && in_use(options.path)) return fail(options.path, in_use_text, ExitCode::in_use);
  auto front_end = FrontEnd::connect_in_turn(options.path, options.timeout);
  if (!front_end) return fail(options.path, no_back_end(front_end.error()));
  const auto facts = query(*front_end);
  if (!facts) return fail(options.path, facts.error().message);
  return print(options.json ? json_of(options.path, *facts) : text_of(options.path, *facts));
}

}  // namespace vhostx::tools::probe
