// SPDX-License-Identifier: BSD-3-Clause
// Listening sockets that systemd has bound for this process (socket activation, sd_listen_fds(3)).
#pragma once

#include <string>
#include <vector>

#include "tools/switch/port_spec.hpp"

namespace vhostx::tools {

/// For PortOptions::listen_fd: the descriptor that LISTEN_PID and LISTEN_FDS name and that is bound to the port's path;
/// -1: none is, or the front-end listens.
int activated_socket(const PortSpec& port);

/// Paths of such sockets that are no port's: front-ends that connect there would wait for ever.
std::vector<std::string> idle_sockets(const std::vector<PortSpec>& ports);

}  // namespace vhostx::tools
