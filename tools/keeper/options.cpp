// SPDX-License-Identifier: BSD-3-Clause
#include "tools/keeper/options.hpp"

#include <CLI/CLI.hpp>

#include "continuity/keeper_protocol.hpp"
#include "tools/common/command_line.hpp"
#include "tools/common/help.hpp"
#include "tools/common/values.hpp"

namespace vhostx::tools::keeper {
namespace {

constexpr double grace_max_s = 4'000'000;

constexpr const char* description =
    R"(Holds the descriptors of vhost-user ports while the processes that serve them come and go.

It listens at SOCKET for clients of its own user and of root. It runs in the foreground until
Ctrl-C or SIGTERM. It needs no DPDK. `vhostx-probe keeper SOCKET` shows what it holds.)";

constexpr const char* footer = R"(
Examples:
  vhostx-keeper /run/user/1000/keeper.sock
  vhostx-keeper /tmp/keeper.sock --grace 300 --json

Exit codes: 0 it ran and was ended; 1 it could not run, e.g. because another keeper listens there; 2 wrong command line.)";

}  // namespace

std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  double grace_s = 60;
  CLI::App app{description, "vhostx-keeper"};
  set_help(app);
  app.footer(footer);
  set_version(app, VHOSTX_VERSION);
  app.add_option("SOCKET", options.path, "The Unix socket to listen at. A stale file is replaced")->required();
  expect_number(app.add_option("--grace", grace_s,
                               "Seconds to keep what nobody owns any more; 0: not at all (60). Clients may choose "
                               "another time when they leave")
                    ->type_name("S"),
                0, grace_max_s, "seconds");
  app.add_flag("--json", options.json, "Print JSON for programs: one object a line");
  if (const auto exit = parse_command_line(app, arguments)) return *exit;
  if (options.path.empty() || options.path.size() > continuity::name_bytes_max)
    return refused(
        app, fmt::format("SOCKET has {} bytes, expected 1 to {}", options.path.size(), continuity::name_bytes_max));
  options.grace = std::chrono::milliseconds(static_cast<std::int64_t>(grace_s * 1000));
  return options;
}

}  // namespace vhostx::tools::keeper
