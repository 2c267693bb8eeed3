// SPDX-License-Identifier: BSD-3-Clause
// The two system calls and their ancillary data (unix(7), cmsg(3)).
#include "protocol/socket_io.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>

namespace vhostx::protocol {
namespace {

// Room for fds_max descriptors and no more: the kernel closes the rest and says MSG_CTRUNC.
constexpr std::size_t control_bytes = CMSG_SPACE(sizeof(int) * fds_max);

struct alignas(cmsghdr) Control {
  std::byte bytes[control_bytes];
};

// MSG_DONTWAIT for each call: the other holder of a descriptor that a peer sent could switch O_NONBLOCK off.
int flags_of(Blocking blocking) noexcept { return blocking == Blocking::no ? MSG_DONTWAIT : 0; }

// True: all were kept.
bool collect(msghdr& message, FdList& fds) noexcept {
  bool kept = true;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      kept = fds.add(UniqueFd(fd)) && kept;
    }
  }
  return kept;
}

void attach(msghdr& message, Control& control, const FdList& fds) noexcept {
  if (fds.empty()) return;
  const std::size_t bytes = fds.size() * sizeof(int);
  std::memset(&control, 0, sizeof control);
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(bytes);
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(bytes);
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const int fd = fds.get(i);
    std::memcpy(CMSG_DATA(part) + i * sizeof fd, &fd, sizeof fd);
  }
}

}  // namespace

Transfer receive(int socket, std::span<std::byte> into, FdList& fds, Blocking blocking) noexcept {
  Control control;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  ssize_t got = 0;
  do {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags_of(blocking));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {0, errno, false};
  const bool kept = collect(message, fds);
  return {static_cast<std::size_t>(got), 0, !kept || (message.msg_flags & MSG_CTRUNC) != 0};
}

Transfer transmit(int socket, std::span<const std::byte> bytes, const FdList& fds, Blocking blocking) noexcept {
  Control control;
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  attach(message, control, fds);
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | flags_of(blocking));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return {0, errno, false};
  return {static_cast<std::size_t>(sent), 0, false};
}

}  // namespace vhostx::protocol
