// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/metrics_address.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <unistd.h>
#include <variant>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace vhostx::tools {
namespace {

/// A socket address, of whichever family.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  template <typename T>
  void set(const T& address) noexcept {
    std::memcpy(&storage, &address, sizeof address);
    length = sizeof address;
  }
};

Error bad(std::string_view text) {
  return Error{ErrorCode::invalid_argument,
               fmt::format("--metrics {}: expected unix:PATH (of 1 to 107 bytes, no abstract name), 127.0.0.1:PORT or "
                           "[::1]:PORT, with a "
                           "port of 0 to 65535: loopback only",
                           text),
               0};
}

bool is_loopback(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

SocketAddress to_socket_address(const MetricsAddress& address) {
  SocketAddress out;
  sockaddr_in v4{};
  if (!address.path.empty()) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    address.path.copy(local.sun_path, sizeof local.sun_path - 1);
    out.set(local);
  } else if (inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    out.set(v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    v6.sin6_port = htons(address.port);
    out.set(v6);
  }
  return out;
}

UniqueFd make_socket(int family) { return UniqueFd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

bool is_no_socket(const std::string& path) noexcept {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode);
}

/// A socket's file that a switch left behind which was killed.
bool is_stale(const SocketAddress& address) {
  const auto probe = make_socket(AF_UNIX);
  return connect(probe.get(), address.get(), address.length) != 0 && errno == ECONNREFUSED;
}

bool bind_to(int fd, const MetricsAddress& address, const SocketAddress& where) {
  const int on = 1;
  if (address.path.empty()) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, where.get(), where.length) == 0) return true;
  if (address.path.empty() || errno != EADDRINUSE) return false;
  if (!is_stale(where)) {
    errno = EADDRINUSE;
    return false;
  }
  return unlink(address.path.c_str()) == 0 && bind(fd, where.get(), where.length) == 0;
}

std::uint16_t port_of(int fd) {
  SocketAddress bound;
  bound.length = sizeof bound.storage;
  if (getsockname(fd, bound.get(), &bound.length) != 0) return 0;
  sockaddr_in v4{};  // the port is at the same place in both families
  std::memcpy(&v4, &bound.storage, sizeof v4);
  return ntohs(v4.sin_port);
}

}  // namespace

Result<MetricsAddress> parse_metrics_address(std::string_view text) {
  constexpr std::string_view unix_prefix = "unix:";
  MetricsAddress address;
  if (text.starts_with(unix_prefix)) {
    address.path = text.substr(unix_prefix.size());
    const bool fits = !address.path.empty() && address.path.size() < sizeof sockaddr_un{}.sun_path;
    if (!fits || address.path.front() == '@') return bad(text);
    return address;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad(text);
  auto host = text.substr(0, colon);
  const auto port = text.substr(colon + 1);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  address.host = host;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  const bool number = error == std::errc{} && end == port.data() + port.size();
  if (!number || !is_loopback(address.host) || brackets != (host.find(':') != std::string_view::npos)) return bad(text);
  return address;
}

Result<MetricsSocket> listen_at(const MetricsAddress& address, const char* option, std::optional<mode_t> mode) {
  const auto where = to_socket_address(address);
  if (!address.path.empty() && is_no_socket(address.path))
    return Error{ErrorCode::busy,
                 fmt::format("{}: '{}' exists and is no socket: it is not replaced", option, address.path), 0};
  MetricsSocket made{.fd = make_socket(where.storage.ss_family), .address = address};
  // The file gets the mode that the socket has when it is bound, without the bits of the umask.
  if (!made.fd || (mode && fchmod(made.fd.get(), *mode) != 0) || !bind_to(made.fd.get(), address, where) ||
      listen(made.fd.get(), SOMAXCONN) != 0) {
    const int error = errno;
    return Error{error == EADDRINUSE ? ErrorCode::busy : ErrorCode::system,
                 fmt::format("{}: cannot listen at {}: {}", option, to_text(address), std::strerror(error)),
                 error == EADDRINUSE ? 0 : error};
  }
  struct stat file {};
  if (address.path.empty())
    made.address.port = port_of(made.fd.get());
  else if (lstat(address.path.c_str(), &file) == 0)
    made.device = file.st_dev, made.inode = file.st_ino;
  return made;
}

void remove_file(const MetricsSocket& socket) noexcept {
  const char* const path = socket.address.path.c_str();
  struct stat file {};
  if (lstat(path, &file) == 0 && file.st_dev == socket.device && file.st_ino == socket.inode) unlink(path);
}

std::string to_text(const MetricsAddress& address) {
  if (!address.path.empty()) return "unix:" + address.path;
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}/metrics", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

}  // namespace vhostx::tools
