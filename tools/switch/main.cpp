// SPDX-License-Identifier: BSD-3-Clause
// vhostx-switch: a learning Ethernet switch between virtual machines; vhostx-switch ctl: commands for one that runs.
#include <cstdio>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "tools/common/completion.hpp"
#include "tools/switch/control_client.hpp"
#include "tools/switch/log_level.hpp"
#include "tools/switch/options.hpp"
#include "tools/switch/switch_app.hpp"
#include "tools/switch/switch_signals.hpp"

namespace {

// Exit codes: 0 it ran and ended as asked, 1 it could not run, 2 it was asked for something that is not possible.
int run(const vhostx::tools::Options& options) {
  using namespace vhostx::tools;
  set_log_level(options.log_level);
  auto app = SwitchApp::start(options, catch_switch_signals());
  if (!app) {
    fmt::print(stderr, "vhostx-switch: {}\n", app.error().message);
    return app.error().code == vhostx::ErrorCode::invalid_argument ? 2 : 1;
  }
  if ((*app)->run()) return 0;
  fmt::print(stderr, "vhostx-switch: a worker gave up: the mbuf pool is too small for packets of {} bytes\n",
             options.packet_size);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace vhostx::tools;
  if (argc > 3 && std::string_view(argv[1]) == complete_option && std::string_view(argv[2]) == "ctl")
    std::swap(argv[1], argv[2]);  // the shell asks what may follow "ctl"
  if (argc > 1 && std::string_view(argv[1]) == "ctl")
    return run_program("vhostx-switch ctl", argc - 1, argv + 1, parse_control_options, run_control_client);
  return run_program("vhostx-switch", argc, argv, parse_options, run);
}
