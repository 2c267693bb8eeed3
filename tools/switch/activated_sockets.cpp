// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/activated_sockets.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <unistd.h>
#include <utility>

#include <sys/socket.h>
#include <sys/un.h>

#include <vhostx/systemd.hpp>

namespace vhostx::tools {
namespace {

constexpr int first_fd = 3;      // SD_LISTEN_FDS_START
constexpr int count_max = 1024;  // whatever the environment says

/// -1: it is not set, or no number.
int number_of(const char* variable) noexcept {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return -1;
  int number = -1;
  const char* const end = text + std::strlen(text);
  const auto [stopped, error] = std::from_chars(text, end, number);
  return error == std::errc{} && stopped == end ? number : -1;
}

/// Not a connection: systemd's descriptor store has those, too, and one has the path of the socket that accepted it.
bool listens(int fd) noexcept {
  int value = 0;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value != 0;
}

/// Empty: it is no Unix socket, or bound to no path.
std::string path_of(int fd) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 || address.sun_family != AF_UNIX)
    return {};
  constexpr std::size_t before = offsetof(sockaddr_un, sun_path);
  const std::size_t bytes = length > before ? std::min<std::size_t>(length - before, sizeof address.sun_path) : 0;
  return std::string(address.sun_path, ::strnlen(address.sun_path, bytes));
}

/// Those that LISTEN_FDNAMES gives, in the order of the descriptors.
std::vector<std::string> names() {
  const char* const text = std::getenv("LISTEN_FDNAMES");
  std::vector<std::string> all;
  std::istringstream words(text == nullptr ? "" : text);
  for (std::string name; std::getline(words, name, ':');) all.push_back(name);
  return all;
}

/// Its process before listened there, and the port goes on with it by way of the store.
bool is_stored(const std::string& name) {
#ifdef VHOSTX_SWITCH_SYSTEMD
  return SystemdStore::is_stored_name(name);
#else
  return static_cast<void>(name), false;
#endif
}

struct Socket {
  int fd;
  std::string path;
};

std::vector<Socket> activated() {
  std::vector<Socket> sockets;
  if (number_of("LISTEN_PID") != ::getpid()) return sockets;
  const int count = std::min(number_of("LISTEN_FDS"), count_max);
  auto all = names();
  all.resize(static_cast<std::size_t>(std::max(count, 0)));
  for (int fd = first_fd; fd < first_fd + count; ++fd) {
    if (is_stored(all[static_cast<std::size_t>(fd - first_fd)])) continue;
    if (auto path = listens(fd) ? path_of(fd) : std::string(); !path.empty()) sockets.push_back({fd, std::move(path)});
  }
  return sockets;
}

}  // namespace

int activated_socket(const PortSpec& port) {
  if (port.role == Role::client) return -1;
  for (const auto& [fd, path] : activated())
    if (path == port.path) return fd;
  return -1;
}

std::vector<std::string> idle_sockets(const std::vector<PortSpec>& ports) {
  std::vector<std::string> idle;
  for (const Socket& socket : activated())
    if (std::none_of(ports.begin(), ports.end(), [&](const PortSpec& port) { return port.path == socket.path; }))
      idle.push_back(socket.path);
  return idle;
}

}  // namespace vhostx::tools
