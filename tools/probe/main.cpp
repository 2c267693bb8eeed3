// SPDX-License-Identifier: BSD-3-Clause
// vhostx-probe: what a vhost-user socket says.
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.hpp"
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

/// Once: nobody is waited for. A listener whose queue is full is an error too.
Result<FrontEnd> connect(const QueryOptions& options) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options.path.empty() || options.path.size() >= sizeof address.sun_path)
    return make_error(ErrorCode::invalid_argument, "a socket's name has 1 to {} bytes", sizeof address.sun_path - 1);
  std::memcpy(address.sun_path, options.path.data(), options.path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return make_system_error(errno, "no socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return make_system_error(errno, "no back-end listens there");
  return FrontEnd(std::move(socket), options.timeout);
}

int run(const QueryOptions& options) {
  const auto users = users_of(options.path);
  if (!options.force && users && users->connected != 0)
    return fail(options.path,
                "another front-end is connected, and may be dropped for this one; --force asks all the same",
                ExitCode::in_use);
  auto front_end = connect(options);
  if (!front_end) return fail(options.path, front_end.error().message);
  const auto facts = query(*front_end);
  if (!facts) return fail(options.path, facts.error().message);
  const std::string report = options.json ? json_of(options.path, *facts) : text_of(options.path, *facts);
  std::fputs(report.c_str(), stdout);
  return static_cast<int>(std::fflush(stdout) == 0 ? ExitCode::good : ExitCode::failed);
}

}  // namespace

int main(int argc, char** argv) try {
  const auto parsed = parse_options({argv + 1, argv + argc});
  if (const auto* exit = std::get_if<EarlyExit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->code == 0 ? stdout : stderr);
    return exit->code;
  }
  return run(std::get<QueryOptions>(parsed));
} catch (const std::exception& error) {
  fmt::print(stderr, "vhostx-probe: {}\n", error.what());
  return 1;
}
