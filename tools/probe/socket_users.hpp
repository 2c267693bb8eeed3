// SPDX-License-Identifier: BSD-3-Clause
// Who uses a Unix socket, before anybody connects to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

#include <vhostx/result.hpp>

namespace vhostx::tools::probe {

struct SocketUsers {
  bool listening = false;
  std::uint32_t connected = 0;       ///< Connections that were accepted there and live.
  std::uint64_t listener_inode = 0;  ///< Of the socket that listens; its owner has it as "socket:[INODE]".
};

/// Reads text of /proc/net/unix for the socket that was bound as `path`, just as it was written there.
SocketUsers count_users(std::istream& table, const std::string& path);

/// The same of this machine. Error: system (no /proc).
Result<SocketUsers> users_of(const std::string& path);

/// Whether a front-end is connected at the socket, and stays for so long: one that has left is seen until the back-end
/// has closed its end. False where that cannot be seen.
bool in_use(const std::string& path, std::chrono::milliseconds time_to_leave = std::chrono::seconds(1));
inline constexpr const char* in_use_text =
    "another front-end is connected, and the back-end may drop it; --force connects anyway";

}  // namespace vhostx::tools::probe
