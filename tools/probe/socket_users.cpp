// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/socket_users.hpp"

#include <fstream>
#include <istream>
#include <sstream>
#include <thread>

#include "base/error.hpp"

namespace vhostx::tools::probe {
namespace {

// proc_net_unix(5), and the kernel's include/uapi/linux/net.h.
constexpr unsigned long accepts_connections = 0x10000;  // __SO_ACCEPTCON
constexpr unsigned state_connected = 3;                 // SS_CONNECTED

struct Row {
  unsigned long flags = 0;
  unsigned state = 0;
  std::uint64_t inode = 0;
  std::string path;
};

bool read_row(const std::string& line, Row& row) {
  std::istringstream words(line);
  std::string number, references, protocol, type;
  words >> number >> references >> protocol >> std::hex >> row.flags >> type >> row.state >> std::dec >> row.inode;
  if (!words) return false;
  words.get();  // the blank before the path, which may have blanks itself
  return static_cast<bool>(std::getline(words, row.path));
}

}  // namespace

SocketUsers count_users(std::istream& table, const std::string& path) {
  SocketUsers users;
  Row row;
  for (std::string line; std::getline(table, line);) {
    if (!read_row(line, row) || row.path != path) continue;
    if ((row.flags & accepts_connections) != 0) {
      users.listening = true;
      users.listener_inode = row.inode;
    } else if (row.state == state_connected)
      ++users.connected;
  }
  return users;
}

Result<SocketUsers> users_of(const std::string& path) {
  std::ifstream table("/proc/net/unix");
  if (!table) return make_system_error(errno, "reading /proc/net/unix");
  return count_users(table, path);
}

bool in_use(const std::string& path, std::chrono::milliseconds time_to_leave) {
  using Clock = std::chrono::steady_clock;
  for (const auto end = Clock::now() + time_to_leave;; std::this_thread::sleep_for(std::chrono::milliseconds(10))) {
    const auto users = users_of(path);
    if (!users || users->connected == 0) return false;
    if (Clock::now() > end) return true;
  }
}

}  // namespace vhostx::tools::probe
