// SPDX-License-Identifier: BSD-3-Clause
// vhostx-probe: what a vhost-user socket says.
#include <cstdio>
#include <system_error>

#include <fmt/format.h>

#include "tools/probe/check/check_command.hpp"
#include "tools/probe/options.hpp"
#include "tools/probe/query.hpp"
#include "tools/probe/query_report.hpp"
#include "tools/probe/socket_users.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::tools;
using namespace vhostx::tools::probe;

int fail(const std::string& path, const std::string& message, ExitCode code = ExitCode::failed) {
  fmt::print(stderr, "vhostx-probe: {}: {}\n", path, message);
  return static_cast<int>(code);
}

std::string no_back_end(const Error& error) {
  if (error.code != ErrorCode::system) return error.message;
  return "no back-end listens there: " + std::generic_category().message(error.system_errno);
}

int run(const QueryOptions& options) {
  const auto users = users_of(options.path);
  if (!options.force && users && users->connected != 0)
    return fail(options.path,
                "another front-end is connected, and may be dropped for this one; --force asks all the same",
                ExitCode::in_use);
  auto front_end = FrontEnd::connect_once(options.path, options.timeout);
  if (!front_end) return fail(options.path, no_back_end(front_end.error()));
  const auto facts = query(*front_end);
  if (!facts) return fail(options.path, facts.error().message);
  const std::string report = options.json ? json_of(options.path, *facts) : text_of(options.path, *facts);
  std::fputs(report.c_str(), stdout);
  return static_cast<int>(std::fflush(stdout) == 0 ? ExitCode::good : ExitCode::failed);
}

int run(const CheckOptions& options) { return run_check_command(options); }

int run_command(const Command& command) {
  return std::visit([](const auto& options) { return run(options); }, command);
}

}  // namespace

int main(int argc, char** argv) {
  return vhostx::tools::run_program("vhostx-probe", argc, argv, vhostx::tools::probe::parse_options, run_command);
}
