// SPDX-License-Identifier: BSD-3-Clause
// The process at the other end of a Unix socket, for messages.
#pragma once

#include <string>

namespace vhostx {

/// Who connected to the socket's other end, or, where that end was accepted, who called listen() (SO_PEERCRED); the
/// process may have ended since. 0: unknown, or outside this PID namespace.
int peer_pid(int socket) noexcept;

/// "vhostx-switch (pid 123)"; "pid 123" if it has ended or hides its name; "this process"; for 0 "an unknown process".
/// Reads /proc. Any thread; not for the data path.
std::string describe_process(int pid);

}  // namespace vhostx
