// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/relay_io.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>

namespace vhostx::tools::probe {
namespace {

struct alignas(cmsghdr) Control {
  std::byte bytes[CMSG_SPACE(sizeof(int) * relay_fds_max)];
};

void collect(msghdr& message, std::vector<UniqueFd>& fds) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

}  // namespace

RelayTransfer relay_receive(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds) {
  Control control;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  ssize_t got = 0;
  do {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {0, errno, false};
  collect(message, fds);
  return {static_cast<std::size_t>(got), 0, (message.msg_flags & MSG_CTRUNC) != 0};
}

RelayTransfer relay_transmit(int socket, std::span<const std::byte> bytes, const std::vector<UniqueFd>& fds) {
  Control control;
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    const std::size_t payload = fds.size() * sizeof(int);
    std::memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(payload);
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(payload);
    for (std::size_t i = 0; i < fds.size(); ++i) {
      const int fd = fds[i].get();
      std::memcpy(CMSG_DATA(part) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return {0, errno, false};
  return {static_cast<std::size_t>(sent), 0, false};
}

}  // namespace vhostx::tools::probe
