// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/tap_device.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>

#include <fmt/format.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace vhostx::tools {
namespace {

Error failed(const char* step, const char* hint) {
  const int error = errno;
  return Error{ErrorCode::system, fmt::format("{}: {}{}", step, std::strerror(error), hint), error};
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::copy_n(name.data(), std::min(name.size(), sizeof request.ifr_name - 1), request.ifr_name);
  return request;
}

}  // namespace

Result<UniqueFd> open_tap(const std::string& name, int flags) {
  UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return failed("cannot open /dev/net/tun", " (modprobe tun, or ask for permission)");
  auto request = request_for(name);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | flags);
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0)
    return failed("TUNSETIFF", " (expected CAP_NET_ADMIN and a name that no other program uses)");
  return fd;
}

Result<void> set_interface_up(const std::string& name) {
  const UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto request = request_for(name);
  if (!socket_fd || ioctl(socket_fd.get(), SIOCGIFFLAGS, &request) != 0) return failed("SIOCGIFFLAGS", "");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) != 0) return failed("cannot set it up", "");
  return {};
}

}  // namespace vhostx::tools
